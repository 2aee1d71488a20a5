import { idOf, type Route } from './call.ts';
import { Refusal } from './problem.ts';
import { volumeView, type Volumes } from './volumes.ts';

/** Network volumes: list, get, create, delete. */
export function volumeRoutes(volumes: Volumes): Route[] {
  return [
    {
      method: 'GET',
      path: '/v2/network-volumes',
      operation: 'listNetworkVolumes',
      run: () => ({ status: 200, body: { networkVolumes: volumes.list().map(volumeView) } }),
    },
    {
      method: 'POST',
      path: '/v2/network-volumes',
      operation: 'createNetworkVolume',
      run: (call) => ({ status: 201, body: volumeView(volumes.create(call.body)) }),
    },
    {
      method: 'GET',
      path: '/v2/network-volumes/:id',
      operation: 'getNetworkVolume',
      run: (call) => {
        const volume = volumes.find(idOf(call));
        if (!volume) throw new Refusal(404, 'network volume not found');
        return { status: 200, body: volumeView(volume) };
      },
    },
    {
      method: 'DELETE',
      path: '/v2/network-volumes/:id',
      operation: 'deleteNetworkVolume',
      run: (call) => {
        volumes.remove(idOf(call));
        return { status: 204 };
      },
    },
  ];
}
