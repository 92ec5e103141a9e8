// The same module for those who import: one copy, so that objects of one are objects of the other.
export * from './index.js';
