import { dataCenters } from './catalog.ts';
import { parseBody, type Shape } from './bodyShape.ts';
import { Refusal } from './problem.ts';
import type { Seeded } from './seeded.ts';

export interface Volume {
  readonly id: string;
  readonly name: string;
  /** GB */
  readonly size: number;
  readonly dataCenter: string;
  readonly type: 'STANDARD' | 'HIGH_PERFORMANCE';
}

/** Simulated ms since the epoch; Infinity while it exists. */
export type KeptVolume = Volume & { readonly from: number; readonly to: number };

export interface Volumes {
  create(body: string): Volume;
  add(volume: Volume): void;
  find(id: string): Volume | undefined;
  list(): readonly Volume[];
  remove(id: string): void;
  /** Removed ones too. */
  everyVolume(): readonly KeptVolume[];
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

/** Network volumes: they outlive every pod, and bill always. */
export function createVolumes(chance: Seeded, now: () => number): Volumes {
  let volumes: KeptVolume[] = [];
  const add = (volume: Volume): void => void volumes.push({ ...volume, from: now(), to: Infinity });
  const list = (): readonly Volume[] => volumes.filter(({ to }) => to === Infinity);
  const find = (id: string): Volume | undefined => list().find((volume) => volume.id === id);
  return {
    create: (body) => {
      const wish = parseBody(createShape, body) as Omit<Volume, 'id' | 'type'> & Partial<Volume>;
      const able = dataCenters.filter(({ networkVolumeTypes }) => networkVolumeTypes.length > 0).map(({ id }) => id);
      if (!able.includes(wish.dataCenter)) {
        throw new Refusal(400, `data center '${wish.dataCenter}' has no network volumes; valid: ${able.join(', ')}`);
      }
      const volume: Volume = { type: 'STANDARD', ...wish, id: chance.id(10) };
      add(volume);
      return volume;
    },
    add,
    find,
    list,
    remove: (id) => {
      if (!find(id)) throw new Refusal(404, 'network volume not found');
      volumes = volumes.map((volume) => (volume.id === id ? { ...volume, to: now() } : volume));
    },
    everyVolume: () => volumes,
  };
}

export const volumeView = ({ id, name, size, dataCenter, type }: Volume): Volume => ({
  id,
  name,
  size,
  dataCenter,
  type,
});
