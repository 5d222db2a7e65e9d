import { StoreDamagedError } from '../ports/log-store.js';
import { errorCode } from './durable-files.js';
import { isLockedError, isResourceError } from './level-db.js';

/**
 * Whether the stored bytes are to blame. What the machine lacks, or another process holds, says nothing
 * about them.
 */
export function isDamage(error: unknown): boolean {
  if (error instanceof StoreDamagedError) return true;
  if (isLockedError(error) || isResourceError(error)) return false;
  return errorCode(error)?.startsWith('LEVEL_') ?? false;
}

/** The bytes came back and are wrong. */
export function isCorruption(error: unknown): boolean {
  return error instanceof StoreDamagedError || errorCode(error) === 'LEVEL_CORRUPTION';
}

/** The disk failed while it was asked; it may give the bytes the next time. */
export function isDiskError(error: unknown): boolean {
  return errorCode(error) === 'LEVEL_IO_ERROR' && !isResourceError(error);
}
