import type { BrokerRegistration } from '../metadata/command.js';
import { BrokerError } from '../model/errors.js';
import type { Logger } from '../ports/telemetry.js';
import type { Cancel, World } from '../ports/world.js';
import type { ControllerLink } from './controller-link.js';
import { Backoff, sleep } from './deadline.js';
import type { BrokerSettings } from './types.js';

const REGISTER_MS = 10_000;

export interface SessionDeps {
  readonly registration: BrokerRegistration;
  readonly link: ControllerLink;
  readonly world: World;
  readonly settings: BrokerSettings;
  readonly log: Logger;
  /** The cluster will never have this broker under its id. */
  refused(error: BrokerError): void;
}

/**
 * Keeps this broker registered and its session with the metadata leader alive.
 *
 * Invariant: at most one registration and one heartbeat are under way.
 */
export class BrokerSession {
  readonly #deps: SessionDeps;
  #cancel: Cancel | undefined;
  #isRegistered = false;
  #isRegistering = false;
  #isBeating = false;
  #isStopped = false;

  constructor(deps: SessionDeps) {
    this.#deps = deps;
  }

  get isRegistered(): boolean {
    return this.#isRegistered;
  }

  start(): void {
    const { world, settings } = this.#deps;
    this.#cancel = world.timers.every(settings.heartbeatMs, () => this.#beat());
    this.#register();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  #register(): void {
    if (this.#isRegistering || this.#isStopped) return;
    this.#isRegistering = true;
    this.#registerUntilDone()
      .catch((error: unknown) => this.#deps.refused(BrokerError.from(error)))
      .finally(() => {
        this.#isRegistering = false;
      })
      .catch(() => undefined);
  }

  async #registerUntilDone(): Promise<void> {
    const { link, registration, world, log } = this.#deps;
    const backoff = new Backoff(100, 2_000);
    while (!this.#isStopped) {
      try {
        await link.call('register', registration, REGISTER_MS);
        this.#isRegistered = true;
        log.info({ brokerId: registration.id }, 'registered with the metadata leader');
        return;
      } catch (thrown) {
        const error = BrokerError.from(thrown);
        if (error.code === 'BROKER_ID_TAKEN' || error.code === 'WRONG_CLUSTER') throw error;
        log.debug({ err: error }, 'registration failed');
      }
      await sleep(world.timers, backoff.nextMs());
    }
  }

  #beat(): void {
    if (this.#isBeating || !this.#isRegistered) return;
    this.#isBeating = true;
    const { link, registration, settings, log } = this.#deps;
    const { id, directoryId } = registration;
    link
      .once('heartbeat', { id, directoryId }, settings.heartbeatMs * 2)
      .then(
        (isKnown) => {
          if (!isKnown) this.#register();
        },
        (error: unknown) => {
          log.trace({ err: BrokerError.from(error).code }, 'a heartbeat found no metadata leader');
        },
      )
      .finally(() => {
        this.#isBeating = false;
      })
      .catch(() => undefined);
  }
}
