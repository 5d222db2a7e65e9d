import { loadSync, type AnyDefinition, type PackageDefinition } from '@grpc/proto-loader';
import type {
  IDescriptorProto,
  IFieldDescriptorProto,
  IFileDescriptorProto,
} from 'protobufjs/ext/descriptor/index.js';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { CLIENT_FILES, LOADER_OPTIONS, PROTO_ROOT } from './proto.js';

/** Symbols of all reflected files: fully qualified name → file. */
type Symbols = Map<string, string>;

/**
 * What server reflection tells about: the client API and what else the client port serves, never the
 * peers' protocol.
 *
 * proto-loader's descriptors are not what a compiler makes of the same files: type names are relative,
 * imports are left out, map entries have the wrong name, fields lose theirs. Strict readers (grpcurl)
 * refuse them, so they are put right here.
 */
export function reflectedPackage(extraFiles: readonly string[]): PackageDefinition {
  const loaded = loadSync([...CLIENT_FILES, ...extraFiles], {
    ...LOADER_OPTIONS,
    keepCase: true,
    includeDirs: [PROTO_ROOT],
  });
  const files = new Map<string, IFileDescriptorProto>();
  for (const definition of Object.values(loaded)) {
    for (const bytes of descriptorsOf(definition)) {
      const file: IFileDescriptorProto = descriptor.FileDescriptorProto.toObject(
        descriptor.FileDescriptorProto.decode(bytes),
      );
      if (file.name !== undefined) files.set(file.name, file);
    }
  }
  const symbols: Symbols = new Map();
  for (const file of files.values()) {
    for (const message of file.messageType ?? []) nameMapEntries(message);
    collect(file, symbols);
  }
  for (const file of files.values()) link(file, symbols);
  const encoded = [...files.values()].map((file) => {
    const { FileDescriptorProto } = descriptor;
    return Buffer.from(FileDescriptorProto.encode(FileDescriptorProto.fromObject(file)).finish());
  });
  return Object.fromEntries(
    Object.entries(loaded).map(([name, definition]) => [
      name,
      // A service has no descriptors of its own; its messages bring the files.
      descriptorsOf(definition).length === 0
        ? definition
        : ({ ...definition, fileDescriptorProtos: encoded } as AnyDefinition),
    ]),
  );
}

function descriptorsOf(definition: AnyDefinition): readonly Buffer[] {
  const { fileDescriptorProtos } = definition;
  return Array.isArray(fileDescriptorProtos) ? fileDescriptorProtos : [];
}

/** A map field `some_limits` has the entry type `SomeLimitsEntry`. */
function nameMapEntries(message: IDescriptorProto): void {
  for (const nested of message.nestedType ?? []) {
    nameMapEntries(nested);
    if (nested.options?.mapEntry !== true || nested.name?.endsWith('Entry') === true) continue;
    const wrong = nested.name ?? '';
    nested.name = `${wrong.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())}Entry`;
    for (const field of message.field ?? []) {
      if (field.typeName === wrong) field.typeName = nested.name;
    }
  }
}

function collect(file: IFileDescriptorProto, symbols: Symbols): void {
  const { name: fileName = '', package: scope = '' } = file;
  const message = (m: IDescriptorProto, within: string): void => {
    const name = `${within}.${m.name ?? ''}`;
    symbols.set(name, fileName);
    for (const nested of m.nestedType ?? []) message(nested, name);
    for (const { name: inner } of m.enumType ?? []) symbols.set(`${name}.${inner ?? ''}`, fileName);
  };
  for (const m of file.messageType ?? []) message(m, scope);
  for (const { name } of file.enumType ?? []) symbols.set(`${scope}.${name ?? ''}`, fileName);
}

/** Makes every type name absolute, and imports the files they stand in. */
function link(file: IFileDescriptorProto, symbols: Symbols): void {
  const imports = new Set<string>();
  const absolute = (reference: string, within: string): string => {
    const name = reference.startsWith('.')
      ? reference.slice(1)
      : resolve(reference, within, symbols);
    const home = symbols.get(name);
    if (home !== undefined && home !== file.name) imports.add(home);
    return `.${name}`;
  };
  const message = (m: IDescriptorProto, within: string): void => {
    const name = `${within}.${m.name ?? ''}`;
    for (const field of m.field ?? []) linkField(field, name, absolute);
    for (const nested of m.nestedType ?? []) message(nested, name);
  };
  const scope = file.package ?? '';
  for (const m of file.messageType ?? []) message(m, scope);
  for (const service of file.service ?? []) {
    for (const method of service.method ?? []) {
      method.inputType = absolute(method.inputType ?? '', scope);
      method.outputType = absolute(method.outputType ?? '', scope);
    }
  }
  file.dependency = [...imports].sort();
}

function linkField(
  field: IFieldDescriptorProto,
  within: string,
  absolute: (reference: string, within: string) => string,
): void {
  if (field.typeName !== undefined && field.typeName !== '') {
    field.typeName = absolute(field.typeName, within);
  }
}

/** Innermost scope first, as protobuf's language guide has it. */
function resolve(reference: string, within: string, symbols: Symbols): string {
  for (
    let scope = within;
    scope !== '';
    scope = scope.slice(0, Math.max(0, scope.lastIndexOf('.')))
  ) {
    const candidate = `${scope}.${reference}`;
    if (symbols.has(candidate)) return candidate;
  }
  return reference;
}
