import protobuf, { type Enum, type Field, type ReflectionObject, type Type } from 'protobufjs';

export interface ProtocolFile {
  /** Its path below proto/. */
  readonly file: string;
  readonly text: string;
}

export interface ProtocolPage {
  readonly markdown: string;
  /** Methods that have no comment. */
  readonly undocumented: readonly string[];
}

const INTRODUCTION = `# The protocol

What clients in any language speak, from the comments of the files in \`proto/\`, which the package brings
along. Brokers also tell it by gRPC's server reflection.
`;

/** One page about all services, messages and enums of these files. */
export function protocolPage(files: readonly ProtocolFile[]): ProtocolPage {
  const undocumented: string[] = [];
  const parts = files.map(({ file, text }) => {
    const { root, package: name = '' } = protobuf.parse(text, {
      keepCase: true,
      alternateCommentMode: true,
    });
    const scope = root.lookup(name);
    if (!(scope instanceof protobuf.Namespace)) throw new Error(`${file} has no package`);
    const sections = scope.nestedArray.map((object) => {
      if (object instanceof protobuf.Service) return serviceSection(object, undocumented);
      if (object instanceof protobuf.Type) return messageSection(object);
      return object instanceof protobuf.Enum ? enumSection(object) : '';
    });
    return [`## ${file}`, `Package \`${name}\`.`, ...sections].join('\n\n');
  });
  return { markdown: `${[INTRODUCTION.trim(), ...parts].join('\n\n')}\n`, undocumented };
}

function serviceSection(service: protobuf.Service, undocumented: string[]): string {
  const methods = service.methodsArray.map((method) => {
    if (commentOf(method) === '') undocumented.push(`${service.name}.${method.name}`);
    const request = `${method.requestStream === true ? 'stream ' : ''}${linkTo(method.requestType)}`;
    const response = `${method.responseStream === true ? 'stream ' : ''}${linkTo(method.responseType)}`;
    return `#### ${service.name}/${method.name}\n\n${request} → ${response}\n\n${commentOf(method)}`;
  });
  return [`### ${service.name}`, commentOf(service), ...methods].filter(isText).join('\n\n');
}

function messageSection(message: Type): string {
  const rows = message.fieldsArray.map((field) =>
    rowOf([String(field.id), `\`${field.name}\``, typeOf(field), commentOf(field)]),
  );
  const head = ['| | field | type | |', '|---|---|---|---|'];
  const table = rows.length === 0 ? 'No fields.' : [...head, ...rows].join('\n');
  return [`### ${message.name}`, commentOf(message), table].filter(isText).join('\n\n');
}

function enumSection(one: Enum): string {
  const rows = Object.entries(one.values).map(([name, value]) =>
    rowOf([String(value), `\`${name}\``, one.comments[name] ?? '']),
  );
  const table = ['| | value | |', '|---|---|---|', ...rows].join('\n');
  return [`### ${one.name}`, commentOf(one), table].filter(isText).join('\n\n');
}

function typeOf(field: Field): string {
  const type = linkTo(field.type);
  if (field instanceof protobuf.MapField) return `map of ${linkTo(field.keyType)} to ${type}`;
  const oneof = field.partOf;
  if (field.repeated) return `repeated ${type}`;
  if (oneof === null) return type;
  // An optional field is, to protobuf, one of a choice of its own.
  return oneof.name === `_${field.name}` ? `optional ${type}` : `${type}, one of \`${oneof.name}\``;
}

/** Scalars as they are, messages and enums as links to their section. */
function linkTo(type: string): string {
  const name = type.split('.').at(-1) ?? type;
  return /^[A-Z]/.test(name) ? `[${name}](#${name.toLowerCase()})` : type;
}

function rowOf(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll(/\s*\n\s*/g, ' ').replaceAll('|', '\\|')).join(' | ')} |`;
}

function commentOf({ comment }: ReflectionObject): string {
  return comment ?? '';
}

function isText(part: string): boolean {
  return part !== '';
}
