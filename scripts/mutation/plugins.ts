/** What we add to Stryker. Its main process and its workers load this file. */
import { texts } from './ignore-texts.js';
import { mochaRunner } from './mocha-runner.js';
import { survivors } from './survivors.js';

export const strykerPlugins = [mochaRunner, survivors, texts];
