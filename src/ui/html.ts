const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Markup that may stand in a page as it is: only {@link html} makes it. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => escapes[character] ?? character);
}

type Part = string | number | Markup | readonly Markup[];

/** A template whose values are escaped, in text and in quoted attributes; markup and lists of it go in as they are. */
export function html(literal: TemplateStringsArray, ...values: readonly Part[]): Markup {
  const parts = literal.flatMap((text, index) => (index === 0 ? [text] : [render(values[index - 1] ?? ''), text]));
  return new Markup(parts.join(''));
}

function render(value: Part): string {
  if (value instanceof Markup) return value.text;
  if (typeof value === 'string' || typeof value === 'number') return escapeHtml(String(value));
  return value.map((one) => one.text).join('');
}
