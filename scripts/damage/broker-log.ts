import { readFileSync, statSync } from 'node:fs';

export interface LogLine {
  readonly level: string;
  readonly time: string;
  readonly msg: string;
  readonly raftGroup?: number;
  readonly reason?: string;
}

const DAMAGED = 'replica is damaged and starts over';
const FENCED = 'fenced the replica';
const VERIFIED = 'verified the log';
const BUG = 'stopped the replica: an invariant was broken';

/** What a broker's process wrote into its log since a moment ago. */
export class BrokerLog {
  private readonly file: string;
  private readonly from: number;

  /** Begins at the present end. */
  constructor(file: string) {
    this.file = file;
    this.from = statSync(file).size;
  }

  text(): string {
    return readFileSync(this.file).subarray(this.from).toString('utf8');
  }

  lines(): LogLine[] {
    return this.text()
      .split('\n')
      .flatMap((line) => {
        try {
          return [JSON.parse(line) as LogLine];
        } catch {
          // The last line may be half written; what is no JSON is none of the broker's own lines.
          return [];
        }
      });
  }

  damaged(): LogLine[] {
    return this.lines().filter((line) => line.msg === DAMAGED);
  }

  fenced(): LogLine[] {
    return this.lines().filter((line) => line.msg === FENCED);
  }

  verified(): LogLine[] {
    return this.lines().filter((line) => line.msg === VERIFIED);
  }

  /** Broken invariants, and whatever ended the process. */
  fatal(): LogLine[] {
    return this.lines().filter((line) => line.msg === BUG || line.msg.startsWith('fatal: '));
  }
}
