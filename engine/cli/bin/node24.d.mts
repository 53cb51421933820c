/** Where Node keeps compiled scripts: a folder in the user's own cache folder. */
export function compileCache(): string;
/** What processes that run an engine have in their environment from their start on, unless the user has it. */
export const ALLOCATOR_ENVIRONMENT: Readonly<Record<string, string>>;
export function runInNode24(program: URL, runsEngine: boolean): Promise<void>;
