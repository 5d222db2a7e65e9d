import { BrokerError, isErrorCode, type LeaderHint } from '../model/errors.js';
import type { Codec } from './peer-op.js';

/** An error as one item of an answer; code, message and leader travel, other facts stay. */
export const errorCodec: Codec<BrokerError> = {
  write(w, error) {
    w.string(error.code).string(error.message.slice(0, 2_000));
    const { leader } = error.facts;
    w.bool(leader !== undefined);
    if (leader !== undefined) {
      w.uvarint(leader.brokerId).string(leader.host).uvarint(leader.port).uvarint(leader.term);
    }
  },
  read(r) {
    const code = r.string();
    const message = r.string();
    const leader: LeaderHint | undefined = r.bool()
      ? { brokerId: r.uvarint(), host: r.string(), port: r.uvarint(), term: r.uvarint() }
      : undefined;
    return new BrokerError(isErrorCode(code) ? code : 'INTERNAL', message, { leader });
  },
};

/** A value, or the error that stands in its place. */
export function orError<T extends object | number>(codec: Codec<T>): Codec<T | BrokerError> {
  return {
    write(w, value) {
      const isError = value instanceof BrokerError;
      w.bool(isError);
      if (isError) errorCodec.write(w, value);
      else codec.write(w, value);
    },
    read: (r) => (r.bool() ? errorCodec.read(r) : codec.read(r)),
  };
}
