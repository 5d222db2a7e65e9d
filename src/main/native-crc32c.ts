import { crc32c as portable, type Crc32c } from '../base/crc32c.js';
import type { Logger } from '../ports/telemetry.js';

/** Below this the way into native code costs more than the table. */
const NATIVE_FROM_BYTES = 64;
/** The check value every CRC-32C gives for "123456789". */
const CHECK_INPUT = new TextEncoder().encode('123456789');
const CHECK_VALUE = 0xe3069283;

/** The fastest CRC-32C this machine has; the portable one where the native module does not load. */
export async function fastCrc32c(log: Logger): Promise<Crc32c> {
  let native: Crc32c;
  try {
    const module = await import('@node-rs/crc32');
    native = (bytes) => module.crc32c(bytes);
  } catch (error) {
    log.warn({ err: error }, 'no native CRC-32C on this platform: using the slower portable one');
    return portable;
  }
  if (native(CHECK_INPUT) !== CHECK_VALUE) {
    log.warn({}, 'the native CRC-32C gives wrong numbers: using the slower portable one');
    return portable;
  }
  return (bytes) => (bytes.length < NATIVE_FROM_BYTES ? portable(bytes) : native(bytes));
}
