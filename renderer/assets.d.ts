/** Files the bundler takes in. */
declare module '*.css';
