import tseslint from 'typescript-eslint';

// Sealed floors are synchronous and know no clock; ported floors may await but reach the world
// only through ports. docs/ARCHITECTURE.md says why.
const SEALED = ['model', 'raft', 'metadata', 'partition'].map((d) => `src/${d}/**/*.ts`);
const PURE = [...SEALED, ...['base', 'ports', 'host', 'broker'].map((d) => `src/${d}/**/*.ts`)];

export default tseslint.config(
  {
    ignores: [
      'dist/**',
      'node_modules/**',
      '.mutation/**',
      'src/rpc/gen/**',
      '**/*.js',
      '**/*.cjs',
      '**/*.mjs',
      '**/*.d.ts',
    ],
  },
  {
    files: ['src/**/*.ts', 'test/**/*.ts', 'scripts/**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { project: './tsconfig.test.json', tsconfigRootDir: import.meta.dirname },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/prefer-promise-reject-errors': ['error', { allowThrowingUnknown: true }],
      'no-param-reassign': 'off',
      eqeqeq: 'error',
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: { '@typescript-eslint/explicit-module-boundary-types': 'error' },
  },
  {
    files: PURE,
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'Math', property: 'random', message: 'Use the injected Random port.' },
        { object: 'Date', property: 'now', message: 'Use the injected Clock port.' },
      ],
      'no-restricted-globals': ['error', 'WeakRef', 'FinalizationRegistry'],
    },
  },
  {
    files: SEALED,
    rules: {
      'no-restricted-syntax': [
        'error',
        { selector: ':function[async=true]', message: 'Sealed code is synchronous.' },
        { selector: 'AwaitExpression', message: 'Sealed code is synchronous.' },
        {
          selector: 'NewExpression[callee.name=/^(Date|Promise)$/]',
          message: 'Sealed code has no clock and no promises.',
        },
        {
          selector: 'CallExpression[callee.property.name=/^(localeCompare|toLocaleString)$/]',
          message: 'Locale is not deterministic.',
        },
      ],
    },
  },
  {
    // Assertions in chai read as expressions, and test doubles need not await.
    files: ['test/**/*.ts', 'scripts/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unused-expressions': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-dynamic-delete': 'off',
    },
  },
);
