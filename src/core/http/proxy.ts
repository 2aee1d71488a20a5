import { isIPv6 } from 'node:net';
import type { NetworkSettings } from './transport.ts';

export interface ProxyChoice {
  readonly url: string;
  /** The setting or the variable that says so. */
  readonly from: string;
  /** Hosts that are reached past it, as NO_PROXY has them. */
  readonly noProxy: string;
}

const names = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'] as const;

/** The proxy to be used: the editor's, else the environment's; undefined = none. */
export function chooseProxy(network: NetworkSettings, environment: NodeJS.ProcessEnv): ProxyChoice | undefined {
  if (network.useProxy === false) return undefined;
  const from = network.proxyUrl ? 'http.proxy' : names.find((name) => environment[name]);
  if (from === undefined) return undefined;
  const said = (from === 'http.proxy' ? network.proxyUrl : environment[from]) ?? '';
  const url = /^[a-z][a-z\d+.-]*:\/\//i.test(said) ? said : `http://${said}`;
  const past = [environment.NO_PROXY, environment.no_proxy].flatMap((list) => (list ?? '').split(/[,\s]+/));
  const hosts = ['127.0.0.1', 'localhost', '::1', ...network.noProxy, ...past].filter((host) => host !== '');
  return { url, from, noProxy: hosts.map((host) => (isIPv6(host) ? `[${host}]` : host)).join(',') };
}
