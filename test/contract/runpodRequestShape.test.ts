// What we send to RunPod, checked against RunPod's own OpenAPI document.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { createRequest } from '../../src/core/fleet/deployPod.ts';
import type { DeployRequest } from '../../src/core/fleet/deployPod.ts';
import { defaultWatchdog } from '../../src/core/fleet/watchdog.ts';

const documentUrl = new URL('../../../shared/contracts/runpod-openapi-v2.json', import.meta.url);

describe("our create request and RunPod's document", () => {
  let refusals: (body: unknown) => unknown;

  before(function () {
    if (!existsSync(documentUrl)) {
      console.log("      RunPod's OpenAPI document (../shared/contracts) is not here: skipped.");
      return this.skip();
    }
    const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
    ajv.addSchema({ ...JSON.parse(readFileSync(documentUrl, 'utf8')), $id: 'doc' });
    const validate = ajv.compile({ $ref: 'doc#/components/schemas/CreatePodRequest' });
    refusals = (body) => (validate(body) ? [] : validate.errors);
  });

  const candidate = {
    gpuId: 'NVIDIA GeForce RTX 4090',
    name: 'RTX 4090',
    memoryGb: 24,
    count: 1,
    cloud: 'SECURE',
    usdPerHourMicros: 690_000,
    stock: 'HIGH',
  } as const;
  const request: DeployRequest = {
    candidates: [candidate],
    image: 'runpod/comfyui:latest',
    containerDiskGb: 30,
    storage: { kind: 'volume', sizeGb: 60, path: '/workspace' },
    watchdog: defaultWatchdog,
  };

  it('agree, whatever storage is chosen', () => {
    const storages: DeployRequest['storage'][] = [
      request.storage,
      { kind: 'network', volumeId: 'q7w2m1xk9c', path: '/workspace' },
      { kind: 'none' },
    ];
    for (const storage of storages) {
      const all = { ...request, storage, dataCenterIds: ['EU-RO-1'], minCudaVersion: '12.4', env: { A: 'b' } };
      assert.deepEqual(refusals(createRequest('podrelay-x', candidate, all)), []);
    }
    assert.notDeepEqual(refusals({ ...createRequest('podrelay-x', candidate, request), gpuTypeIds: [] }), []);
  });

  it("keep within RunPod's limit of 102,400 bytes, and open no port but ComfyUI's", () => {
    const body = createRequest('podrelay-x', candidate, request);
    assert.ok(JSON.stringify(body).length < 20_000);
    assert.deepEqual(body.ports, ['8188/http']);
    assert.equal(body.gpu.count, 1);
  });

  it('carry our mark last, so that no setting can take it away', () => {
    const body = createRequest('podrelay-x', candidate, { ...request, env: { PODRELAY_POD: 'other' } });
    assert.equal(body.env.PODRELAY_POD, 'podrelay-x');
  });
});
