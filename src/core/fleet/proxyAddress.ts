import { Fault } from '../kernel/fault.ts';

/** RunPod docs, pods/configuration/expose-ports: the port is the internal one, declared as '8188/http'. */
export const runpodProxyTemplate = 'https://{podId}-{port}.proxy.runpod.net';

export const comfyPort = 8188;

/** The public address of a pod's HTTP port, without a trailing slash. It has no authentication: never send a key there. */
export function proxyAddress(template: string, podId: string, port: number): string {
  if (!/^[A-Za-z0-9_-]+$/.test(podId)) throw new Fault('rejected', `'${podId}' is no pod id`, { delivered: 'no' });
  if (!template.includes('{podId}') || !template.includes('{port}')) {
    throw new Fault('rejected', "The proxy address needs '{podId}' and '{port}' in it", { delivered: 'no' });
  }
  const text = template.replaceAll('{podId}', podId).replaceAll('{port}', String(port)).replace(/\/+$/, '');
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new Fault('rejected', `'${template}' is no web address`, { delivered: 'no' });
  }
  return text;
}
