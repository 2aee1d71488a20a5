import assert from 'node:assert/strict';
import { outputFiles } from '../../src/core/comfy/outputs.ts';
import type { PromptProgress } from '../../src/core/comfy/runPrompt.ts';
import type { Workflow } from '../../src/core/comfy/workflow.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import { openClient } from './comfyClientWorld.ts';
import {
  promptsOf,
  readTranscript,
  recordedProfiles,
  transcriptNames,
  transcriptsAreHere,
} from './comfyTranscripts.ts';
import type { RecordedPrompt } from './comfyTranscripts.ts';
import { entryOf, startReplay } from './replayComfy.ts';
import type { ReplayOptions } from './replayComfy.ts';

interface Outcome {
  readonly files: readonly string[];
  readonly fault: string | undefined;
  readonly seen: readonly PromptProgress[];
}

/** One recorded prompt through our own client, over a real socket. */
async function replay(options: ReplayOptions): Promise<Outcome & { readonly said: readonly unknown[] }> {
  const server = await startReplay(options);
  const world = openClient(server.base);
  const seen: PromptProgress[] = [];
  try {
    const ended = await world
      .run(options.prompt.graph as unknown as Workflow, { onProgress: (at) => seen.push(at) })
      .catch((error: unknown) => {
        assert.ok(error instanceof Fault, String(error));
        return error;
      });
    const failed = ended instanceof Fault;
    return {
      files: failed ? [] : ended.files.map(({ filename }) => filename),
      fault: failed ? ended.kind : undefined,
      seen,
      said: server.said,
    };
  } finally {
    await world.close();
    await server.close();
  }
}

/** What the recording itself says about the end, read apart from the client. */
function recordedOutcome(prompt: RecordedPrompt): Pick<Outcome, 'files' | 'fault'> {
  if (prompt.deleted) return { files: [], fault: 'jobFailed' };
  const entry = entryOf(prompt);
  if (entry.status.completed === true) {
    return { files: outputFiles(entry.outputs).map(({ filename }) => filename), fault: undefined };
  }
  const [, error] = entry.status.messages.at(-1) as [string, { exception_type?: string }];
  return { files: [], fault: /OutOfMemory/.test(error.exception_type ?? '') ? 'outOfMemory' : 'jobFailed' };
}

describe('the ComfyUI client on recorded sessions of real servers', function () {
  before(function () {
    if (transcriptsAreHere) return;
    console.log('      skipped: the recordings of real servers (../shared/contracts) are not here');
    this.skip();
  });

  for (const profile of recordedProfiles) {
    for (const framesBeforeReply of [false, true]) {
      const how = framesBeforeReply ? 'all events before the reply' : 'events as recorded';
      it(`comes to the recorded end of every prompt of ${profile}, ${how}`, async function () {
        this.timeout(20_000);
        const prompts = transcriptNames(profile).flatMap((name) => {
          const lines = readTranscript(profile, name);
          return promptsOf(lines).map((prompt, index) => ({ name: `${name} ${index}`, lines, prompt }));
        });
        assert.ok(prompts.length >= 13);
        const outcomes = await Promise.all(
          prompts.map(async ({ name, lines, prompt }) => {
            const { files, fault } = await replay({ lines, prompt, speed: 4, framesBeforeReply });
            return { name, files, fault };
          }),
        );
        assert.deepEqual(
          outcomes,
          prompts.map(({ name, prompt }) => ({ name, ...recordedOutcome(prompt) })),
        );
      });
    }

    it(`shows the previews of ${profile}, with and without their metadata`, async () => {
      for (const name of ['progress_preview_legacy', 'progress_preview_metadata']) {
        const lines = readTranscript(profile, name);
        const [prompt] = promptsOf(lines);
        const { seen, said } = await replay({ lines, prompt: prompt!, speed: 2 });
        const previews = seen.flatMap(({ preview }) => (preview === undefined ? [] : [preview]));
        assert.equal(previews.length, 2, name);
        for (const { mimeType, bytes } of previews) {
          assert.equal(mimeType, 'image/jpeg');
          assert.deepEqual([...bytes.subarray(0, 2)], [0xff, 0xd8], 'a whole JPEG and nothing before it');
        }
        assert.deepEqual(said[0], { type: 'feature_flags', data: { supports_preview_metadata: true } });
      }
    });

    it(`takes a history entry of ${profile} that comes 350 ms late for what it is`, async () => {
      const lines = readTranscript(profile, 'success_then_cached');
      for (const prompt of promptsOf(lines)) {
        const { files } = await replay({ lines, prompt, speed: 10, historyDelayMs: 350 });
        assert.equal(files.length, 1);
      }
    });
  }
});
