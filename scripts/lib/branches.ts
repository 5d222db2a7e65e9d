import ts from 'typescript';

/** One way a branch can go. */
export interface Arm {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** What has to happen: `if … is false`, `case 'tick'`. */
  readonly what: string;
}

/** A source that counts its arms in `globalThis.arms`, numbered from `first` on. */
export interface Counted {
  readonly text: string;
  readonly arms: readonly Arm[];
}

/**
 * Rewrites a source so that it counts which way every branch goes: both ways of `if` and `?:`, be
 * there an else or not, both ways of `&&`, `||` and `??`, every case of a switch, every default of a
 * parameter. A case that only says it cannot be (`unreachable`) is not one.
 *
 * Types stay as they are, so the result is run, never checked: a wrapped condition narrows nothing.
 */
export function countBranches(file: string, source: string, first: number): Counted {
  const tree = ts.createSourceFile(file, source, ts.ScriptTarget.ESNext, true);
  const arms: Arm[] = [];
  const opened = new Map<number, string[]>();
  const closed = new Map<number, string[]>();

  const addArm = (node: ts.Node, what: string): number => {
    const { line, character } = tree.getLineAndCharacterOfPosition(node.getStart(tree));
    arms.push({ file, line: line + 1, column: character + 1, what });
    return first + arms.length - 1;
  };
  const wrap = (node: ts.Node, head: string, tail: string): void => {
    const [start, end] = [node.getStart(tree), node.getEnd()];
    opened.set(start, [...(opened.get(start) ?? []), head]);
    // Parents are visited before their children, and close after them.
    closed.set(end, [tail, ...(closed.get(end) ?? [])]);
  };
  const excerpt = (node: ts.Node): string => {
    const text = node.getText(tree).replaceAll(/\s+/g, ' ');
    return text.length > 60 ? `${text.slice(0, 60)}…` : text;
  };
  const decide = (node: ts.Expression, way: 'truth' | 'absence', ways: [string, string]): void => {
    const yes = addArm(node, `${excerpt(node)} ${ways[0]}`);
    addArm(node, `${excerpt(node)} ${ways[1]}`);
    wrap(node, `globalThis.arms.${way}(${yes}, `, ')');
  };

  const visit = (node: ts.Node): void => {
    if (ts.isIfStatement(node)) decide(node.expression, 'truth', ['holds', 'does not hold']);
    else if (ts.isConditionalExpression(node)) {
      decide(node.condition, 'truth', ['holds', 'does not hold']);
    } else if (ts.isBinaryExpression(node)) {
      const operator = node.operatorToken.kind;
      if (operator === ts.SyntaxKind.QuestionQuestionToken) {
        decide(node.left, 'absence', ['is absent', 'is there']);
      } else if (
        operator === ts.SyntaxKind.AmpersandAmpersandToken ||
        operator === ts.SyntaxKind.BarBarToken
      ) {
        decide(node.left, 'truth', ['holds', 'does not hold']);
      }
    } else if (ts.isParameter(node) && node.initializer !== undefined) {
      const arm = addArm(node, `${node.name.getText(tree)} is left out`);
      wrap(node.initializer, `globalThis.arms.pass(${arm}, `, ')');
    } else if (ts.isCaseOrDefaultClause(node) && !isUnreachable(node)) {
      const label = ts.isCaseClause(node) ? `case ${excerpt(node.expression)}` : 'default';
      const arm = addArm(node, label);
      const colon = node.getChildren(tree).find((c) => c.kind === ts.SyntaxKind.ColonToken);
      if (colon !== undefined) wrap(colon, '', ` globalThis.arms.pass(${arm}); `);
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);

  let text = '';
  for (let at = 0; at <= source.length; at++) {
    text += (closed.get(at) ?? []).join('') + (opened.get(at) ?? []).join('');
    text += source.charAt(at);
  }
  return { text, arms };
}

/** What the rewritten sources call; writes the counts to a file when the process ends. */
export function countingPrelude(output: string, count: number): string {
  return `import { writeFileSync } from 'node:fs';
const counts = new Array(${count}).fill(0);
globalThis.arms = {
  truth: (arm, value) => (counts[value ? arm : arm + 1]++, value),
  absence: (arm, value) => (counts[value === undefined || value === null ? arm : arm + 1]++, value),
  pass: (arm, value) => (counts[arm]++, value),
};
process.on('exit', () => writeFileSync(${JSON.stringify(output)}, JSON.stringify(counts)));
`;
}

function isUnreachable(clause: ts.CaseOrDefaultClause): boolean {
  return clause.statements.some((s) => s.getText().includes('unreachable('));
}
