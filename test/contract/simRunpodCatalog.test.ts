import assert from 'node:assert/strict';
import { bench, type Answer, type Bench } from './simRunpodHarness.ts';

interface Gpu {
  readonly id: string;
  readonly manufacturer: string;
  readonly memory: number;
  readonly secure: boolean;
  readonly community: boolean;
  readonly price: { readonly secure: number; readonly community: number };
  readonly availability?: string;
  readonly dataCenters?: readonly { readonly id: string; readonly availability: string }[];
  readonly cudaVersions?: readonly { readonly version: string }[];
}

const rtx4090 = 'NVIDIA GeForce RTX 4090';
const amd = 'AMD Instinct MI300X OAM';

describe('RunPod simulator: catalogue', () => {
  let world: Bench;
  before(async () => {
    world = await bench();
  });
  after(() => world.close());

  const ask = (path: string): Promise<Answer> => world.send('GET', `/v2/catalog/${path}`);
  const gpus = async (query: string): Promise<readonly Gpu[]> => (await ask(`gpus${query}`)).json.gpus;
  const gpu = async (query: string, id = rtx4090): Promise<Gpu> =>
    (await ask(`gpus/${encodeURIComponent(id)}${query}`)).json;
  const stock = '?include=AVAILABILITY&product=POD';
  const refusals = async (path: string, status: number, queries: readonly string[]): Promise<void> => {
    for (const query of queries) assert.equal((await ask(`${path}?${query}`)).status, status, `${path}?${query}`);
  };

  it('S48: a rule between parameters is 400: product with include and only with it, all filters only with it', async () => {
    const only = [
      'product=POD',
      'count=1',
      'cloud=SECURE',
      'countryCodes=US',
      'cudaVersions=12.8',
      'minCudaVersion=12',
    ];
    const both = 'include=AVAILABILITY&product=POD&cudaVersions=12.8&minCudaVersion=12.4';
    for (const path of ['gpus', `gpus/${encodeURIComponent(rtx4090)}`]) {
      await refusals(path, 400, [...only, 'include=AVAILABILITY', both]);
    }
    await refusals('cpus', 400, ['product=POD', 'vcpuCount=4', 'include=AVAILABILITY']);
  });

  it('S48: a malformed value is 422', async () => {
    const bad = ['product=GPU', 'count=0', 'count=1025', 'cloud=PUBLIC', 'countryCodes=us', 'cudaVersions=12'];
    await refusals('gpus', 422, [
      'include=STOCK',
      ...bad.map((one) => `include=AVAILABILITY&product=POD&${one}`),
      'include=AVAILABILITY&product=POD&minCudaVersion=new',
    ]);
    await refusals('cpus', 422, [
      'include=AVAILABILITY&product=CLUSTER',
      'include=AVAILABILITY&product=POD&vcpuCount=1',
    ]);
    await refusals('datacenters', 422, ['regions=MARS', 'networkVolumeTypes=FAST', 'globalNetwork=maybe']);
    await refusals('templates', 422, ['source=unknown']);
    assert.equal((await ask(`gpus${stock}&minCudaVersion=12`)).status, 200, 'a bare major is allowed here');
  });

  it('S48: stock is there with include only; lists are comma-joined; ids are percent-encoded', async () => {
    const plain = await gpu('');
    assert.deepEqual([plain.id, 'availability' in plain, 'dataCenters' in plain], [rtx4090, false, false]);
    const shown = await gpu(`${stock}&cudaVersions=12.4,12.8`);
    assert.deepEqual(
      shown.cudaVersions?.map(({ version }) => version),
      ['12.4', '12.8'],
    );
    assert.deepEqual([shown.availability, shown.dataCenters?.length], ['HIGH', 3]);
    assert.equal((await ask('gpus/NVIDIA%20GeForce%20RTX%204091')).status, 404);
    const centers = (await ask('datacenters?regions=EUROPE,UNKNOWN')).json.dataCenters;
    assert.deepEqual(
      centers.map(({ id }: { id: string }) => id),
      ['EU-RO-1', 'EU-SE-1', 'EU-CZ-1', 'AP-XX-9'],
    );
    const all = (await ask('datacenters?networkVolumeTypes=STANDARD,HIGH_PERFORMANCE')).json.dataCenters;
    assert.deepEqual(all.length, 1, 'each of the types, not one of them');
    const strict = (await ask('datacenters?compliance=GDPR,RENEWABLE&include=GPU_AVAILABILITY')).json.dataCenters;
    assert.deepEqual([strict.length, strict[0].id, strict[0].gpuAvailability.length > 0], [1, 'EU-SE-1', true]);
    assert.ok(!('cpuAvailability' in strict[0]));
  });

  it('S48: a country filter drops cards from the list, and says NONE of one that is asked for', async () => {
    const canada = await gpus(`${stock}&countryCodes=CA`);
    assert.ok(canada.some(({ id }) => id === rtx4090));
    assert.ok(!canada.some(({ id }) => id === 'NVIDIA RTX A5000'));
    const absent = await gpu(`${stock}&countryCodes=CA`, 'NVIDIA RTX A5000');
    assert.deepEqual([absent.availability, 'dataCenters' in absent], ['NONE', false]);
    const two = await gpu(`${stock}&countryCodes=CA,US`);
    assert.deepEqual(
      two.dataCenters?.map(({ id }) => id),
      ['US-TX-3', 'CA-MTL-3'],
    );
  });

  it('S48: stock is another one per cloud, product, count and CUDA version', async () => {
    const level = async (query: string, id?: string): Promise<string | undefined> =>
      (await gpu(query, id)).availability;
    assert.deepEqual([await level(stock), await level(`${stock}&cloud=COMMUNITY`)], ['HIGH', 'MEDIUM']);
    const of = (product: string): string => `?include=AVAILABILITY&product=${product}&cloud=COMMUNITY`;
    assert.deepEqual([await level(of('SERVERLESS')), await level(of('CLUSTER'))], ['HIGH', 'LOW']);
    assert.deepEqual([await level(`${stock}&count=8`), await level(`${stock}&count=9`)], ['HIGH', 'NONE']);
    // 12.11 is newer than 12.8.
    assert.deepEqual([await level(`${stock}&minCudaVersion=12.11`), await level(`${stock}&minCudaVersion=12.12`)], ['HIGH', 'NONE']); // prettier-ignore
    assert.equal(await level(`${stock}&cudaVersions=11.8`), 'NONE');
    const card = await gpu(stock, amd);
    assert.deepEqual([card.availability, 'cudaVersions' in card], ['LOW', false]);
    assert.equal(await level(`${stock}&minCudaVersion=12`, amd), 'NONE');
  });

  it('S49: has what a client must see through: a sentinel, placeholder prices, a price of 0, names it does not know', async () => {
    const all = await gpus(stock);
    const one = (id: string): Gpu => all.find((entry) => entry.id === id)!;
    const { memory, secure, community, price } = one('unknown');
    assert.deepEqual([memory, secure, community], [0, false, false]);
    assert.ok(price.secure > 0 && price.community > 0);
    const secureOnly = one('NVIDIA H200 NVL');
    assert.ok(!secureOnly.community && secureOnly.price.community > 0, 'a price of what is not offered');
    const free = one('NVIDIA L4');
    assert.deepEqual([free.secure, free.price.secure, free.community, free.price.community], [true, 0, true, 0]);
    assert.ok(all.some(({ id, manufacturer }) => manufacturer === 'UNKNOWN' && id !== 'unknown'));
    const { dataCenters } = (await ask('datacenters')).json;
    assert.ok(dataCenters.some(({ region }: { region: string }) => region === 'UNKNOWN'));
    assert.equal((await ask('gpus/unknown')).status, 200);
  });
});
