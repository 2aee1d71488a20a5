/** Outlines on a grid of 16, drawn in the colour of the text around them. */
const outlines = {
  repeat: 'M13 8a5 5 0 1 1-1.6-3.7M13 1.5v3.2H9.8',
  copyPath: 'M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z',
  reveal: 'M1.5 13V3.5h4l1.5 2h7.5V13z',
  warning: 'M8 2 1.5 13.5h13zM8 6.5v3.5M8 11.2v1',
  play: 'M5 3v10l8-5z',
  file: 'M3.5 1.5h6l3 3v10h-9zM9.5 1.5v3h3',
  broken: 'M1.5 2.5h13v11h-13zM1.5 11l4-4 3 3 2-2 4 4M2 15 14 1',
} as const;
export type IconName = keyof typeof outlines;

const namespace = 'http://www.w3.org/2000/svg';

/** Decoration: what it stands for is said beside it or in the label of its button. */
export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(namespace, 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const outline = document.createElementNS(namespace, 'path');
  outline.setAttribute('d', outlines[name]);
  svg.append(outline);
  return svg;
}
