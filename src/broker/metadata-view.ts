import type { MetadataDelta, MetadataImage } from '../metadata/image.js';
import { BrokerError } from '../model/errors.js';
import type { LogIndex } from '../model/ids.js';
import type { Logger } from '../ports/telemetry.js';
import type { Cancel, Timers } from '../ports/world.js';
import type { MetadataView } from './types.js';

type Listener = (image: MetadataImage, delta: MetadataDelta) => void;

interface Wait {
  readonly predicate: (image: MetadataImage) => boolean;
  readonly resolve: (image: MetadataImage) => void;
}

/**
 * This broker's copy of the metadata, as everyone but the controller sees it. The metadata replica
 * publishes to it whenever its applied index moved.
 *
 * Invariant: every waiter is settled by its predicate or its deadline, and then forgotten.
 */
export class PublishedMetadata implements MetadataView {
  readonly #image: MetadataImage;
  readonly #timers: Timers;
  readonly #log: Logger;
  readonly #listeners = new Set<Listener>();
  readonly #waits = new Set<Wait>();

  constructor(image: MetadataImage, timers: Timers, log: Logger) {
    this.#image = image;
    this.#timers = timers;
    this.#log = log;
  }

  image(): MetadataImage {
    return this.#image;
  }

  onChange(listener: Listener): Cancel {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  waitFor(
    predicate: (image: MetadataImage) => boolean,
    deadlineMs: number,
  ): Promise<MetadataImage> {
    if (predicate(this.#image)) return Promise.resolve(this.#image);
    return new Promise((resolve, reject) => {
      const cancel = this.#timers.after(deadlineMs, () => {
        this.#waits.delete(wait);
        reject(
          new BrokerError(
            'DEADLINE_EXCEEDED',
            `this broker's metadata (at ${this.#image.version}) did not follow in ${deadlineMs} ms`,
          ),
        );
      });
      const wait: Wait = {
        predicate,
        resolve: (image) => {
          cancel();
          resolve(image);
        },
      };
      this.#waits.add(wait);
    });
  }

  /** Resolves once this copy holds everything up to the index. */
  waitForVersion(index: LogIndex, deadlineMs: number): Promise<MetadataImage> {
    return this.waitFor((image) => image.version >= index, deadlineMs);
  }

  /** The applied index moved; `delta` says what of the image changed, if anything. */
  publish(delta: MetadataDelta | undefined): void {
    if (delta !== undefined) {
      for (const listener of [...this.#listeners]) this.#tell(listener, delta);
    }
    for (const wait of [...this.#waits]) {
      if (!wait.predicate(this.#image)) continue;
      this.#waits.delete(wait);
      wait.resolve(this.#image);
    }
  }

  /** One listener's failure must not keep the news from the others, or stop the metadata group. */
  #tell(listener: Listener, delta: MetadataDelta): void {
    try {
      listener(this.#image, delta);
    } catch (error) {
      this.#log.error({ err: error }, 'a listener to metadata failed');
    }
  }
}
