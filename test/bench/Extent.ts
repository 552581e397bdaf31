/**
 * How much a row does: as much as its figures need, or only so much that one sees it work. What `smallest` measures
 * means nothing; the tests run it, so that a row that broke is seen before somebody wants its figures.
 */
export type Extent = "whole" | "smallest"

/** A row's sizes, for each of them. */
export type ByExtent<Sizes> = { readonly [Each in Extent]: Sizes }
