/** Where Node keeps compiled scripts: a folder in the user's own cache folder. */
export function compileCache(): string;
export function runInNode24(program: URL): Promise<void>;
