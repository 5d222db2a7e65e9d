/**
 * Loaded before every test file, by .mocharc.json: properties try the same cases in every run, so that a
 * run is red because of what was changed. TEST_SEED has them try others.
 */
import process from 'node:process';
import fc from 'fast-check';

fc.configureGlobal({ seed: Number(process.env['TEST_SEED'] ?? 1) });
