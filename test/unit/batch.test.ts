import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import type { Workflow } from '../../src/core/comfy/workflow.ts';
import { parseWorkflow } from '../../src/core/comfy/workflow.ts';
import { defaultWorkflow } from '../../src/core/generate/defaultWorkflow.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { readBatch } from '../../src/core/queue/batch.ts';
import type { Batch, BatchFormat, BatchOptions } from '../../src/core/queue/batch.ts';
import { BatchColumns } from '../../src/core/queue/batchColumns.ts';
import { findSeparator, readCsv } from '../../src/core/queue/batchCsv.ts';
import { decodeText } from '../../src/core/queue/batchText.ts';

const signal = new AbortController().signal;
const workflow = defaultWorkflow({ prompt: 'a boat', width: 512, height: 512, seed: 7 });
const empty = defaultWorkflow({ prompt: '', width: 512, height: 512, seed: 7 });

async function read(text: string, change: Partial<BatchOptions> & { format?: BatchFormat } = {}): Promise<Batch> {
  const { format = 'csv', ...options } = change;
  let seed = 1_000;
  return readBatch(
    { name: 'batch.csv', format, text },
    { workflow, maxJobs: 10_000, newSeed: () => (seed += 1), clock: systemClock, ...options },
    signal,
  );
}

const jsonl = (...lines: unknown[]): Promise<Batch> =>
  read(lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'), { format: 'jsonl' });

const told = ({ problems }: Batch): string[] =>
  problems.map(({ line, message }) => (line === undefined ? message : `${line}: ${message}`));

function inputs(batch: Batch, job: number, node: string): Readonly<Record<string, unknown>> {
  const found = batch.jobs[job]?.workflow[node];
  assert.ok(found, `job ${job} has no node ${node}; ${told(batch).join('; ')}`);
  return found.inputs;
}

describe('CSV', () => {
  const all = (text: string) => [...readCsv(text, findSeparator(text))];
  const cells = (text: string) => all(text).map((record) => record.cells);

  it('reads quotes, doubled quotes, line breaks in quotes and every kind of line end', () => {
    const text = 'a,b\r\n"x, y","say ""hi"""\n"two\r\nlines",z\rlast,';
    assert.deepEqual(cells(text), [
      ['a', 'b'],
      ['x, y', 'say "hi"'],
      ['two\r\nlines', 'z'],
      ['last', ''],
    ]);
    assert.deepEqual(
      all(text).map(({ line }) => line),
      [1, 2, 3, 5],
    );
  });

  it('finds the separator, and none where there is one column', () => {
    assert.equal(findSeparator('prompt;seed\na;1').separator, ';');
    assert.equal(findSeparator('prompt\tseed\na\t1').separator, '\t');
    assert.equal(findSeparator('"a;b;c",seed\nx,1').separator, ',');
    assert.deepEqual(cells('prompt\na cat, in the rain\n\n"a dog; barking"\n'), [
      ['prompt'],
      ['a cat, in the rain'],
      ['a dog; barking'],
    ]);
    assert.deepEqual(all('sep=;\r\na;b,c\n'), [{ line: 2, cells: ['a', 'b,c'] }]);
  });

  it('tells a broken line and reads the next', () => {
    const records = all('a,b\n"never closed,1\nx,2\n"one" two,3\ny,4\n');
    assert.deepEqual(
      records.filter(({ problem }) => problem === undefined).map(({ cells: [first] }) => first),
      ['a', 'x', 'y'],
    );
    const [unclosed, after] = records.filter(({ problem }) => problem !== undefined);
    assert.equal(unclosed?.line, 2);
    assert.equal(after?.line, 4);
  });

  it('forgives blanks around quotes and quotes inside unquoted values', () => {
    assert.deepEqual(cells('a, b\n"x" , "y, z" \n5" gun,2'), [
      ['a', ' b'],
      ['x', 'y, z'],
      ['5" gun', '2'],
    ]);
  });

  it('gives back whatever was written by the rules, with the lines at which it stands', () => {
    const cell = fc.string({ unit: fc.constantFrom('a', 'ß', '"', ',', ';', '\t', '\n', '\r', ' ', '€', '😀') });
    const table = fc
      .tuple(fc.constantFrom(',' as const, ';' as const, '\t' as const), fc.integer({ min: 2, max: 4 }))
      .chain(([separator, width]) =>
        fc.tuple(
          fc.constant(separator),
          fc.array(fc.array(cell, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 8 }),
          fc.constantFrom('\n', '\r\n', '\r'),
        ),
      );
    fc.assert(
      fc.property(table, fc.boolean(), ([separator, rows, end], isEnded) => {
        const quote = (text: string) => `"${text.replaceAll('"', '""')}"`;
        const lines = rows.map((row) => row.map(quote).join(separator));
        const text = lines.join(end) + (isEnded ? end : '');
        const records = [...readCsv(text, { separator, offset: 0, line: 1 })];
        assert.deepEqual(
          records.map((record) => record.cells),
          rows,
        );
        let line = 1;
        for (const [index, record] of records.entries()) {
          assert.equal(record.line, line);
          // A cell may end in '\r' before a '\n' of the file: the quote between them keeps them apart.
          line += 1 + (rows[index] ?? []).join('"').split(/\r\n|\n|\r/).length - 1;
        }
      }),
      { numRuns: 500 },
    );
  });

  it('ends, and never throws, on any text', () => {
    const text = fc.string({ unit: fc.constantFrom('a', '"', ',', ';', '\n', '\r', ' ', '\t'), maxLength: 60 });
    fc.assert(
      fc.property(text, (some) => {
        const records = all(some);
        assert.ok(records.length <= some.length);
        for (const [index, { line }] of records.entries())
          assert.ok(index === 0 || line > (records[index - 1]?.line ?? 0));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('the text of a batch file', () => {
  const utf8 = (text: string) => new TextEncoder().encode(text);

  it('loses its byte order mark', () => {
    assert.deepEqual(decodeText(utf8('\uFEFFprompt\nfür')), { text: 'prompt\nfür', encoding: 'UTF-8' });
  });

  it('is read as spreadsheets write it', () => {
    const wide = Buffer.from('\uFEFFprompt\tseed\nfür\t1', 'utf16le');
    assert.deepEqual(decodeText(wide), { text: 'prompt\tseed\nfür\t1', encoding: 'UTF-16' });
    assert.deepEqual(decodeText(Buffer.from(wide).swap16()), { text: 'prompt\tseed\nfür\t1', encoding: 'UTF-16' });
    assert.deepEqual(decodeText(Buffer.from('für 5 \x80', 'latin1')), { text: 'für 5 €', encoding: 'Windows-1252' });
  });
});

describe('a batch: columns', () => {
  it('sets the inputs that plain names mean', async () => {
    const batch = await read(
      'prompt,Negative Prompt,seed,width,height,steps,cfg,checkpoint,sampler_name\n' +
        '"a cat, sitting",dark,42,640,768,30,"6,5",sd15.safetensors,dpmpp_2m\n',
    );
    assert.deepEqual(told(batch), []);
    assert.equal(inputs(batch, 0, '2').text, 'a cat, sitting');
    assert.equal(inputs(batch, 0, '3').text, 'dark');
    assert.deepEqual({ ...inputs(batch, 0, '4') }, { width: 640, height: 768, batch_size: 1 });
    const { seed, steps, cfg, sampler_name } = inputs(batch, 0, '5');
    assert.deepEqual({ seed, steps, cfg, sampler_name }, { seed: 42, steps: 30, cfg: 6.5, sampler_name: 'dpmpp_2m' });
    assert.equal(inputs(batch, 0, '1').ckpt_name, 'sd15.safetensors');
    assert.equal(inputs({ ...batch, jobs: [{ line: 0, label: '', priority: 0, workflow }] }, 0, '2').text, 'a boat');
  });

  it('takes label, priority and repeat; a seed counts up', async () => {
    const batch = await read('prompt,seed,label,priority,repeat\na,18446744073709551614,first,5,3\nb,,,,\n');
    assert.deepEqual(told(batch), []);
    assert.deepEqual(
      batch.jobs.map(({ label, priority, line }) => ({ label, priority, line })),
      [
        { label: 'first (1/3)', priority: 5, line: 2 },
        { label: 'first (2/3)', priority: 5, line: 2 },
        { label: 'first (3/3)', priority: 5, line: 2 },
        { label: 'b', priority: 0, line: 3 },
      ],
    );
    const seeds = batch.jobs.map((job) => JSON.stringify(job.workflow['5']?.inputs.seed));
    assert.deepEqual(seeds, ['18446744073709551614', '18446744073709551615', '0', '1001']);
  });

  it('gives every job a seed of its own where the file has none: a server makes nothing twice', async () => {
    const batch = await read('prompt,repeat\na,2\na,\n');
    const seeds = batch.jobs.map((job) => job.workflow['5']?.inputs.seed);
    assert.deepEqual(seeds, [1001, 1002, 1003]);
    const random = await read('prompt,seed\na,-1\nb,random\n');
    assert.deepEqual(
      random.jobs.map((job) => job.workflow['5']?.inputs.seed),
      [1001, 1002],
    );
  });

  it('takes exact names: by id, title or class', async () => {
    const batch = await read('2.text,Sampler.denoise,ksampler.steps,Not in the picture.text\na,0.5,9,dull\n');
    assert.deepEqual(told(batch), []);
    assert.equal(inputs(batch, 0, '2').text, 'a');
    assert.equal(inputs(batch, 0, '3').text, 'dull');
    assert.equal(inputs(batch, 0, '5').denoise, 0.5);
    assert.equal(inputs(batch, 0, '5').steps, 9);
  });

  it('follows a value to the node that holds it, and both encoders of SDXL', async () => {
    const graph = parseWorkflow(
      JSON.stringify({
        ...workflow,
        '2': {
          class_type: 'CLIPTextEncodeSDXL',
          inputs: { text_g: ['8', 0], text_l: ['8', 0], width: 1024, height: 1024, clip: ['1', 1] },
        },
        '8': { class_type: 'PrimitiveString', inputs: { value: 'a boat' } },
        '9': { class_type: 'PrimitiveInt', inputs: { value: 30 } },
        '5': { ...workflow['5'], inputs: { ...workflow['5']?.inputs, steps: ['9', 0] } },
      }),
    );
    const batch = await read('prompt,steps,width\na cat,12,640\n', { workflow: graph });
    assert.deepEqual(told(batch), []);
    assert.equal(inputs(batch, 0, '8').value, 'a cat');
    assert.equal(inputs(batch, 0, '9').value, 12);
    assert.equal(inputs(batch, 0, '4').width, 640);
    assert.equal(inputs(batch, 0, '2').width, 1024);
  });

  it('says what a name could mean when it is not clear', async () => {
    const second = { ...workflow['5'], inputs: { ...workflow['5']?.inputs, steps: 10, latent_image: ['5', 0] } };
    const graph = parseWorkflow(
      JSON.stringify({
        ...workflow,
        '8': second,
        '6': { ...workflow['6'], inputs: { samples: ['8', 0], vae: ['1', 2] } },
      }),
    );
    const batch = await read('prompt,steps\na,12\n', { workflow: graph });
    assert.deepEqual(told(batch), [
      "1: the column 'steps' is not used: it could mean 8.steps or 5.steps: use such a name",
    ]);
    const seeds = await read('prompt,seed\na,12\n', { workflow: graph });
    assert.equal(inputs(seeds, 0, '5').seed, 12);
    assert.equal(inputs(seeds, 0, '8').seed, 12);
  });

  it('tells unknown columns, doubled ones, and two that set the same; leaves notes out', async () => {
    const batch = await read('prompt,color,prompt,2.text,# my note,5.cgf,99.x,5.model\na,b,c,d,e,f,g,h\n');
    assert.deepEqual(told(batch), [
      "1: the column 'color' is not used: it names no input of this workflow",
      "1: the column 'prompt' is there twice",
      "1: the columns 'prompt' and '2.text' set the same",
      "1: the column '5.cgf' is not used: node 5 (Sampler) has no input 'cgf'; it has seed, steps, cfg, sampler_name, scheduler and denoise",
      "1: the column '99.x' is not used: no node has the id, title or class '99'",
      "1: the column '5.model' is not used: 'model' of node 5 (Sampler) comes from node 1 (Model)",
    ]);
    assert.deepEqual(batch.jobs, []);
  });

  it('names a missing column, and the lines without its value, when the workflow has no prompt of its own', async () => {
    assert.deepEqual(told(await read('seed\n1\n2\n', { workflow: empty })), [
      "the column 'prompt' is missing, and the workflow has no prompt of its own",
    ]);
    assert.deepEqual(told(await read('prompt,seed\na,1\n,2\n', { workflow: empty })), [
      '3: prompt is empty, and the workflow has none of its own',
    ]);
    assert.deepEqual((await read('seed\n1\n2\n')).jobs.length, 2);
    const lines = await read('{"seed": 1}\n{"prompt": "a"}\n', { workflow: empty, format: 'jsonl' });
    assert.deepEqual(told(lines), ['1: prompt is empty, and the workflow has none of its own']);
  });
});

describe('the example of the README', () => {
  it('is read as it says', async () => {
    const readme = readFileSync(path.resolve(import.meta.dirname, '../../README.md'), 'utf8');
    const [, example = ''] = /```csv\n([\s\S]*?)```/.exec(readme) ?? [];
    const batch = await read(example);
    assert.deepEqual(told(batch), []);
    assert.equal(batch.jobs.length, 5);
    assert.equal(batch.jobs[0]?.label, 'lighthouse');
    const columns = [...readme.matchAll(/^\| (`.*`) +\|/gm)]
      .map(([, names = '']) => names)
      .filter((names) => /prompt|cfg/.test(names));
    const named = columns.flatMap((names) => [...names.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name));
    assert.ok(named.length > 10, named.join());
    const withImage: Workflow = {
      ...workflow,
      '9': { class_type: 'LoadImage', inputs: { image: 'a.png' } },
      '10': { class_type: 'SaveImage', inputs: { images: ['9', 0] } },
    };
    const meanings = new BatchColumns(withImage);
    for (const name of named) assert.equal(meanings.meaning(name).is, 'input', name);
  });
});

describe('a batch: values and lines', () => {
  it('reports every bad line with its number, after quoted line breaks too', async () => {
    const batch = await read(
      [
        'prompt,seed,width,steps,priority,repeat',
        '"two\nlines",1,640,20,1,1',
        'a,1.5,640,20,1,1',
        'b,1,500,many,1,1',
        'c,1,640,20,high,0',
        'd,1,640',
        'e,1,640,20,1,1,extra',
        '',
        'f,1.2E+15,8,20,1,1',
      ].join('\r\n'),
    );
    assert.deepEqual(told(batch), [
      "4: seed must be a whole number from 0 to 18446744073709551615, or -1 for a random one, not '1.5'",
      '5: width must be a multiple of 8, not 500; the nearest is 504',
      "5: steps must be a whole number, not 'many'",
      "6: priority must be a whole number from -1000 to 1000, not 'high'",
      "6: repeat must be a whole number from 1 to 10000, not '0'",
      '7: 3 values for 6 columns; a value with a separator in it is put in quotes',
      '8: 7 values for 6 columns; a value with a separator in it is put in quotes',
      "10: seed must be a whole number from 0 to 18446744073709551615, or -1 for a random one, not '1.2E+15'",
      '10: width must be from 16 to 16384 pixels, not 8',
    ]);
    assert.deepEqual(batch.jobs, [], 'nothing of it is queued');
    assert.equal(batch.lineCount, 7);
  });

  it('says of an empty file, and of one without lines or inputs, what it lacks', async () => {
    assert.deepEqual(told(await read('')), ['the file is empty']);
    assert.deepEqual(told(await read('prompt\n\n')), ['there is no line below the names of the columns']);
    assert.deepEqual(told(await read('label\nx\n')), ['no column sets an input of the workflow']);
    assert.deepEqual(told(await read('', { format: 'jsonl' })), ['the file is empty']);
  });

  it('reads JSON Lines, with exact seeds, and tells what is no object', async () => {
    const batch = await jsonl('{"prompt": "a", "seed": 18446744073709551615, "5.cfg": 3, "repeat": 2}', '', {
      prompt: 'b',
      negative: null,
    });
    assert.deepEqual(told(batch), []);
    assert.equal(batch.jobs.length, 3);
    assert.equal(JSON.stringify(batch.jobs[0]?.workflow['5']?.inputs.seed), '18446744073709551615');
    assert.equal(inputs(batch, 0, '5').cfg, 3);
    const bad = await jsonl({ prompt: 'a' }, '{"prompt": ', '["a"]', { prompt: ['x'] }, { prompt: 'b', colour: 1 });
    const messages = told(bad);
    assert.match(messages[0] ?? '', /^2: this is not JSON: /);
    assert.deepEqual(messages.slice(1), [
      '3: every line must be one object, such as {"prompt": "a lighthouse"}',
      '4: prompt must be a text, a number, true or false, not a list',
      "5: the column 'colour' is not used: it names no input of this workflow",
    ]);
  });

  it('refuses more than the queue takes with a sentence, and repeats without a seed', async () => {
    const batch = await read('prompt,repeat\na,6\nb,6\n', { maxJobs: 10 });
    assert.deepEqual(told(batch), [
      'the file asks for 12 jobs and the queue has room for 10: split the file, or queue the rest later',
    ]);
    const flat: Workflow = {
      '1': { class_type: 'EmptyImage', inputs: { width: 60, height: 48, color: 1 } },
      '2': { class_type: 'SaveImage', inputs: { images: ['1', 0] } },
    };
    assert.deepEqual(told(await read('color,width,repeat\n5,50,2\n', { workflow: flat })), [
      '2: repeat: the workflow has no seed, so every repetition would be the same picture',
    ]);
    const colours = await read('color,width\n5,50\n6,51\n', { workflow: flat });
    assert.deepEqual(
      colours.jobs.map((job) => job.workflow['1']?.inputs),
      [
        { width: 50, height: 48, color: 5 },
        { width: 51, height: 48, color: 6 },
      ],
    );
  });

  it('reads 100,000 lines without keeping others from working, and says that they are too many', async () => {
    const line = (at: number) => `"a lighthouse, number ${at}, at dawn",${at},640,512\n`;
    const text = `prompt,seed,width,height\n${Array.from({ length: 100_000 }, (_, at) => line(at)).join('')}`;
    let turns = 0;
    let now = 0;
    const clock = {
      now: () => (now += 1),
      sleep: () => new Promise<void>((resolve) => setImmediate(() => resolve(void (turns += 1)))),
    };
    const batch = await read(text, { clock });
    assert.deepEqual(told(batch), [
      'the file asks for 100,000 jobs and the queue has room for 10,000: split the file, or queue the rest later',
    ]);
    assert.equal(batch.lineCount, 100_000);
    // It looks at the clock every 64 lines, and lets others work every 12 ms.
    assert.ok(turns > 100, String(turns));
  });

  it('keeps at most a thousand problems, and counts all', async () => {
    const batch = await read(`prompt,seed\n${'a,x\n'.repeat(5_000)}`);
    assert.equal(batch.problems.length, 1_000);
    assert.equal(batch.problemCount, 5_000);
    assert.equal(batch.problems[0]?.line, 2);
  });

  it('stops when nobody wants it any more', async () => {
    const stop = new AbortController();
    const text = `prompt\n${'a\n'.repeat(200_000)}`;
    const options = { workflow, maxJobs: 10, newSeed: () => 1, clock: systemClock };
    const reading = readBatch({ name: 'x', format: 'csv', text }, options, stop.signal);
    stop.abort();
    await assert.rejects(reading);
  });

  it('shares what does not differ between jobs', async () => {
    const batch = await read('prompt\na\nb\n');
    assert.equal(batch.jobs[0]?.workflow['4'], batch.jobs[1]?.workflow['4']);
    assert.notEqual(batch.jobs[0]?.workflow['2'], batch.jobs[1]?.workflow['2']);
  });

  it('never throws on any text, and queues nothing when it reports something', async () => {
    const text = fc.string({
      unit: fc.constantFrom('prompt', 'seed', ',', ';', '"', '\n', '1', '{', '}', ':', ' ', 'a.b'),
    });
    await fc.assert(
      fc.asyncProperty(text, fc.constantFrom('csv' as const, 'jsonl' as const), async (some, format) => {
        const batch = await read(some, { format });
        assert.equal(batch.jobs.length === 0, batch.problemCount > 0);
      }),
      { numRuns: 500 },
    );
  });
});
