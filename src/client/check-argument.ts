import { BrokerError } from '../model/errors.js';

/** Throws INVALID_ARGUMENT with this text, which names the option or field, unless it holds. */
export function checkArgument(holds: boolean, text: string): void {
  if (!holds) throw new BrokerError('INVALID_ARGUMENT', text);
}
