import { expect } from 'chai';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { loadAssignors } from '../../../src/main/load-assignors.js';

describe('loading assignors', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'millrace-assignors-'));
  });
  after(async () => await rm(folder, { recursive: true, force: true }));

  const moduleWith = async (name: string, text: string): Promise<string> => {
    const file = path.join(folder, name);
    await writeFile(file, text);
    return file;
  };
  const problemOf = async (...modules: string[]): Promise<string> =>
    await loadAssignors(modules).then(
      () => 'none',
      (error: unknown) => String(error),
    );

  it('takes one or a list from each module', async () => {
    const one = await moduleWith('one.mjs', "export default { name: 'one', assign() {} };");
    const more = await moduleWith(
      'more.mjs',
      "export default ['two', 'three'].map((name) => ({ name, assign() {} }));",
    );
    const assignors = await loadAssignors([one, path.relative(process.cwd(), more)]);
    expect(assignors.names().slice(3)).to.deep.equal(['one', 'two', 'three']);
  });

  it('says which module cannot be used, and why', async () => {
    const missing = path.join(folder, 'missing.mjs');
    expect(await problemOf(missing)).to.match(/missing\.mjs: .*Cannot find module/i);
    const broken = await moduleWith('broken.mjs', "throw new Error('broken');");
    expect(await problemOf(broken)).to.match(/broken\.mjs: broken/);
    const empty = await moduleWith('empty.mjs', 'export const nothing = 1;');
    expect(await problemOf(empty)).to.match(/empty\.mjs: its default export is no assignor/);
    const same = await moduleWith('same.mjs', "export default { name: 'range', assign() {} };");
    expect(await problemOf(same)).to.match(/assignor range: there is one of that name/);
  });
});
