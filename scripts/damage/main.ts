/** `npm run damage`: see HELP. */
import process from 'node:process';

const HELP = `npm run damage -- [--case NAME]... [--rounds N] [--seed S] [--keep] [--json]
    Rounds on three real brokers under load: kill one, harm its files or fill its disk, start it.

npm run damage -- --matrix [options]
    Every harm there is to one replica's files, each opened as a broker opens it: every cut of the end of
    the write-ahead log, a bit in every byte of samples, every bit of smaller ones, each file gone; then
    a disk that is full at one write after another, and syncs that fail. Some hundred thousand cases.

    --row NAME            only this row; may be given several times
    --sample N            every N-th case of each row                                    (1)
    --minutes N           begin no more cases after N minutes; the table tells how many were done
    --ledger FILE         note results there, and go on with what it holds already; FILE.source
                          keeps the directories that are harmed
    --repairs N           cases of each row that are also repaired by peers              (5)
    --full-points N       writes at which the disk is full                               (500)
    --sync-points N       syncs that fail                                                (100)
    --write-minutes N     writing goes on that long after the full disk has room again   (10)
    --workers N           processes; twice the cores if left out
    --seed S  --json
`;

if (process.argv.includes('--help')) {
  process.stdout.write(HELP);
} else if (process.argv.includes('--matrix')) {
  await import('./matrix/main.js');
} else {
  await import('./rounds.js');
}
