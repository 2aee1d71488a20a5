import { dataCenters } from './catalog.ts';
import { parseBody, type Shape } from './bodyShape.ts';
import { Refusal } from './problem.ts';
import type { Seeded } from './seeded.ts';

export interface Volume {
  readonly id: string;
  readonly name: string;
  readonly size: number;
  readonly dataCenter: string;
  readonly type: 'STANDARD' | 'HIGH_PERFORMANCE';
}

export interface Volumes {
  create(body: string): Volume;
  add(volume: Volume): void;
  find(id: string): Volume | undefined;
  list(): readonly Volume[];
  remove(id: string): void;
}

const createShape: Shape = {
  is: 'object',
  required: ['name', 'size', 'dataCenter'],
  fields: {
    name: { is: 'string', minLength: 1 },
    size: { is: 'integer', minimum: 10, maximum: 4096 },
    dataCenter: { is: 'string', minLength: 1 },
    type: { is: 'string', oneOf: ['STANDARD', 'HIGH_PERFORMANCE'] },
  },
};

/** Network volumes: they outlive every pod. */
export function createVolumes(chance: Seeded): Volumes {
  const volumes = new Map<string, Volume>();
  return {
    create: (body) => {
      const wish = parseBody(createShape, body) as Omit<Volume, 'id' | 'type'> & Partial<Volume>;
      const able = dataCenters.filter(({ networkVolumeTypes }) => networkVolumeTypes.length > 0).map(({ id }) => id);
      if (!able.includes(wish.dataCenter)) {
        throw new Refusal(400, `data center '${wish.dataCenter}' has no network volumes; valid: ${able.join(', ')}`);
      }
      const volume: Volume = { type: 'STANDARD', ...wish, id: chance.id(10) };
      volumes.set(volume.id, volume);
      return volume;
    },
    add: (volume) => void volumes.set(volume.id, volume),
    find: (id) => volumes.get(id),
    list: () => [...volumes.values()],
    remove: (id) => {
      if (!volumes.delete(id)) throw new Refusal(404, 'network volume not found');
    },
  };
}
