import http from 'node:http';
import type { BrokerHealth } from '../../broker/types.js';

const CONNECTIONS_MAX = 256;
const HEADER_BYTES_MAX = 8 * 1024;
const PATIENCE_MS = 10_000;
const PLAIN = 'text/plain; charset=utf-8';

export interface HttpListenerOptions {
  health(): BrokerHealth;
  readonly metrics: {
    readonly contentType: string;
    /** In Prometheus' text format. */
    text(): Promise<string>;
  };
}

interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/**
 * Health and metrics for people, load balancers and Prometheus. Reads only; keeps few connections and
 * short ones.
 */
export class HttpListener {
  private readonly options: HttpListenerOptions;
  private readonly server: http.Server;

  constructor(options: HttpListenerOptions) {
    this.options = options;
    this.server = http.createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        headersTimeout: PATIENCE_MS,
        requestTimeout: PATIENCE_MS,
        keepAliveTimeout: PATIENCE_MS,
      },
      (request, response) => {
        void this.answer(request, response);
      },
    );
    this.server.maxConnections = CONNECTIONS_MAX;
  }

  /** Resolves with the port; rejects if it cannot be bound. */
  async listen(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen({ host, port }, () => {
        this.server.off('error', reject);
        resolve();
      });
    });
    const address = this.server.address();
    return typeof address === 'object' && address !== null ? address.port : port;
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    if (!this.server.listening) return;
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve());
      this.server.closeAllConnections();
    });
  }

  private async answer(
    request: http.IncomingMessage,
    response: http.ServerResponse,
  ): Promise<void> {
    // A body would only hold the connection.
    request.resume();
    const page = await this.page(request).catch((error: unknown): Page => ({
      status: 500,
      type: PLAIN,
      body: `${String(error)}\n`,
    }));
    response.writeHead(page.status, {
      'content-type': page.type,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    response.end(request.method === 'HEAD' ? undefined : page.body);
  }

  private async page(request: http.IncomingMessage): Promise<Page> {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return { status: 405, type: PLAIN, body: 'GET and HEAD only\n' };
    }
    const [path] = (request.url ?? '').split('?');
    const health = this.options.health();
    switch (path) {
      case '/health/live':
        return claim(health.live, 'live', health.reason);
      case '/health/ready':
        if (health.ready && health.reason !== '') {
          return { status: 200, type: PLAIN, body: `ready, but ${health.reason}\n` };
        }
        return claim(health.ready, 'ready', health.reason);
      case '/metrics': {
        const { metrics } = this.options;
        return { status: 200, type: metrics.contentType, body: await metrics.text() };
      }
      default:
        return { status: 404, type: PLAIN, body: 'try /health/live, /health/ready or /metrics\n' };
    }
  }
}

function claim(holds: boolean, what: string, reason: string): Page {
  if (holds) return { status: 200, type: PLAIN, body: `${what}\n` };
  return { status: 503, type: PLAIN, body: `not ${what}: ${reason}\n` };
}
