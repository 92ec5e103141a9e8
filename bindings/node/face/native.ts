// The native module: found, loaded and described. Nothing else imports it.

/** What a native call is answered with: nothing, JSON, content, or something to hold. */
export type Answer = null | string | Uint8Array | Handle;

/** Something that the native side holds. */
export interface Handle {
  call(
    method: string,
    data: string,
    objects: Record<string, Handle>,
    bytes: Record<string, Uint8Array>,
    abort?: Abort,
  ): Promise<Answer>;
  close(): void;
}

/** Gives up the call that it is passed to. */
export interface Abort {
  abort(): void;
}

interface Native {
  readonly Handle: abstract new () => Handle;
  readonly Abort: new () => Abort;
  construct(
    name: string,
    constructor: string,
    data: string,
    objects: Record<string, Handle>,
    bytes: Record<string, Uint8Array>,
    abort?: Abort,
  ): Promise<Answer>;
}

/** The names of the builds that may fit this platform, most likely first. */
function builds(): string[] {
  const { platform, arch } = process;
  switch (platform) {
    case 'linux':
      return [`linux-${arch}-gnu`, `linux-${arch}-musl`];
    case 'win32':
      return [`win32-${arch}-msvc`];
    default:
      return [`${platform}-${arch}`];
  }
}

/** The build that lies in this package, or that of the package for this platform. */
function load(): Native {
  const tried: string[] = [];
  let cause: unknown;
  for (const build of builds()) {
    for (const place of [`../native/nakivo.${build}.node`, `nakivo-${build}`]) {
      try {
        return require(place) as Native;
      } catch (error) {
        const missing = (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND';
        cause = missing ? (cause ?? error) : error;
        tried.push(place);
      }
    }
  }
  throw new Error(
    `nakivo: no native module for ${process.platform}-${process.arch} could be loaded; tried: ${tried.join(', ')}. ` +
      `Install the package nakivo-${builds()[0]}.`,
    { cause },
  );
}

export const native: Native = load();
