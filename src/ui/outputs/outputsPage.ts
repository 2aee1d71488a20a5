import { html } from '../html.ts';

export interface OutputsPageOptions {
  /** Fresh for every page. */
  readonly nonce: string;
  /** Where the editor serves a page's files from. */
  readonly cspSource: string;
  readonly scriptUri: string;
  readonly styleUri: string;
}

/** The empty page: its script draws what the extension sends. Nothing but our files and the results can be loaded. */
export function outputsPage({ nonce, cspSource, scriptUri, styleUri }: OutputsPageOptions): string {
  const policy = [
    "default-src 'none'",
    `img-src ${cspSource}`,
    `media-src ${cspSource}`,
    `style-src ${cspSource}`,
    `script-src 'nonce-${nonce}'`,
  ].join('; ');
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${policy}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <link rel="stylesheet" href="${styleUri}" />
        <title>Outputs</title>
      </head>
      <body>
        <section id="notice" aria-live="polite" hidden></section>
        <ul id="cards" aria-label="Newest results"></ul>
        <section id="more" hidden></section>
        <script nonce="${nonce}" src="${scriptUri}"></script>
      </body>
    </html>`.text;
}
