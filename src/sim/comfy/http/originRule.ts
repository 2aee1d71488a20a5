import type { IncomingHttpHeaders } from 'node:http';

/**
 * Whether a request is refused with 403 (comfyui.md 1.1, 'Origin rule'): the host is loopback and the origin is
 * another one. `Origin: null` and no origin pass.
 */
export function isForeignOrigin(headers: IncomingHttpHeaders, refusesCrossSite: boolean): boolean {
  if (refusesCrossSite && headers['sec-fetch-site'] === 'cross-site') return true;
  const { host, origin } = headers;
  if (host === undefined || origin === undefined) return false;
  const originHost = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(origin)?.[1]?.toLowerCase() ?? '';
  if (originHost === '' || !isLoopback(hostName(host))) return false;
  const here = host.toLowerCase();
  return hasPort(here) ? here !== originHost : hostName(here) !== hostName(originHost);
}

function hostName(host: string): string {
  return host
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '')
    .toLowerCase();
}

function hasPort(host: string): boolean {
  return /:\d+$/.test(host) && !host.endsWith(']');
}

function isLoopback(name: string): boolean {
  return name === 'localhost' || name === '::1' || /^127\.\d+\.\d+\.\d+$/.test(name);
}
