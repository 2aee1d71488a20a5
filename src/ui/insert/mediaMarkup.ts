import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { MediaKind } from '../../core/outputs/mediaKind.ts';
import { escapeHtml } from '../html.ts';

export const markupLanguages = ['markdown', 'html'] as const;
export type MarkupLanguage = (typeof markupLanguages)[number];

export interface ShownFile {
  readonly path: string;
  readonly kind: MediaKind;
}

/** Said by a screen reader at one go. */
const longestAlt = 120;

export function isMarkup(languageId: string): languageId is MarkupLanguage {
  return markupLanguages.some((one) => one === languageId);
}

/** `![alt](path)`, `<img>`, `<video>`; a link where the language shows no such thing. Pure. */
export function mediaMarkup(
  language: MarkupLanguage,
  { path: file, kind }: ShownFile,
  alt: string,
  from?: string,
): string {
  const link = linkTo(from, file);
  const text = shortAlt(alt) || path.parse(file).name;
  if (language === 'markdown') return `${kind === 'image' ? '!' : ''}[${escapeMarkdown(text)}](${link})`;
  const label = escapeHtml(text);
  switch (kind) {
    case 'image':
      return `<img src="${link}" alt="${label}">`;
    case 'video':
      return `<video controls src="${link}" aria-label="${label}"></video>`;
    case 'other':
      return `<a href="${link}">${label}</a>`;
  }
}

/** Relative to the folder, percent-encoded; a whole address where there is no way from there, as between two disks. */
export function linkTo(folder: string | undefined, file: string): string {
  const relative = folder === undefined ? undefined : path.relative(folder, file);
  if (relative === undefined || path.isAbsolute(relative)) return encodeMore(pathToFileURL(file).href);
  return relative.split(path.sep).map(encodeURIComponent).map(encodeMore).join('/');
}

/** What would end a link in Markdown or an attribute in HTML. */
function encodeMore(part: string): string {
  return part.replace(/[!'()*&"<>]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

function shortAlt(prompt: string): string {
  const line = prompt.replace(/\s+/g, ' ').trim();
  return line.length > longestAlt ? `${line.slice(0, longestAlt - 1).trimEnd()}…` : line;
}

function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_[\]<>&!$|~]/g, '\\$&');
}

/** Where the markup goes, and what goes with it so that it stands apart from the text. */
export interface Spot {
  readonly line: number;
  readonly character: number;
  readonly before: string;
  readonly after: string;
}

/** Behind a passage that ends there: a paragraph of its own at the end of a line, else in the line. Pure. */
export function spotAfter(
  language: MarkupLanguage,
  end: { readonly line: number; readonly character: number },
  lineAt: (line: number) => string | undefined,
): Spot {
  // A passage of whole lines ends before the first character of the next one.
  const line = end.character === 0 && end.line > 0 ? end.line - 1 : end.line;
  const text = lineAt(line) ?? '';
  const character = line === end.line ? end.character : text.length;
  if (text.slice(character).trim() !== '') return { line, character, before: ' ', after: '' };
  const indent = /^\s*/.exec(text)?.[0] ?? '';
  if (language === 'html') return { line, character: text.length, before: `\n${indent}`, after: '' };
  const next = lineAt(line + 1) ?? '';
  return { line, character: text.length, before: '\n\n', after: next.trim() === '' ? '' : '\n' };
}
