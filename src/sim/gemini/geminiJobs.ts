import { classic, GeminiRefusal, invalidRequest, refuse } from './geminiErrors.ts';
import { fakeMp4 } from './fakeMp4.ts';
import type { GeminiFaults } from './geminiFaults.ts';
import { videoTokensPerSecond } from './geminiModels.ts';
import type { VideoOrder } from './geminiVideoOrder.ts';
import { hashText, randomFrom } from './paintPng.ts';

export interface VideoUsage {
  readonly input: number;
  readonly text: number;
  readonly media: number;
}

interface VideoJob {
  readonly id: string;
  readonly order: VideoOrder;
  readonly createdAt: number;
  readonly doneAt: number;
  readonly usage: VideoUsage;
  readonly outcome: GeminiFaults['video']['outcome'];
  readonly fileIds: readonly string[];
  cancelledAt: number | undefined;
  polls: number;
}

interface StoredFile {
  readonly id: string;
  readonly order: VideoOrder;
  readonly createdAt: number;
}

export interface GeminiJobs {
  create(order: VideoOrder): { id: string; usage: VideoUsage };
  /** The interaction as an answer shows it. `uriBase` begins addresses; polls count for 'queued'. */
  view(id: string, uriBase: string, asked: 'create' | 'poll'): object;
  cancel(id: string, uriBase: string): object;
  remove(id: string): void;
  file(id: string, uriBase: string): object;
  /** The clip's bytes, once the file is active. */
  download(id: string): Buffer;
}

/** The interactions and files of the simulator: what state they are in follows from the time alone. */
export function createGeminiJobs(now: () => number, faults: () => GeminiFaults, seed: number): GeminiJobs {
  const jobs = new Map<string, VideoJob>();
  const files = new Map<string, StoredFile>();
  const random = randomFrom(hashText(`jobs ${seed}`));
  const letters = (count: number): string =>
    Array.from({ length: count }, () => Math.floor(random() * 36).toString(36)).join('');

  function find(id: string): VideoJob {
    const job = jobs.get(id);
    if (job === undefined) throw invalidRequest(`Invalid interaction name: ${id}`);
    return job;
  }

  function findFile(id: string): StoredFile {
    const file = files.get(id);
    if (file === undefined || now() < file.createdAt) throw fileGone(id, 403);
    if (now() - file.createdAt > faults().fileLifeMs) throw fileGone(id, 404);
    return file;
  }

  function stateOf(job: VideoJob): string {
    if (job.cancelledAt !== undefined) return 'cancelled';
    if (now() < job.doneAt) return job.polls > 0 && job.polls <= faults().video.queuedPolls ? 'queued' : 'in_progress';
    return job.outcome.is === 'status' ? job.outcome.status : 'completed';
  }

  function clip(file: StoredFile): Buffer {
    const { ratio, resolution, seconds } = file.order;
    const short = { '360p': 360, '720p': 720, '1080p': 1080, '4k': 2160 }[resolution];
    const long = (short * 16) / 9;
    const [width, height] = ratio === '16:9' ? [long, short] : [short, long];
    return fakeMp4({ width, height, seconds, paddingBytes: faults().video.paddingBytes });
  }

  function videoPart(fileId: string, uriBase: string, inline: boolean): object {
    const base = { type: 'video', mime_type: 'video/mp4' };
    const file = files.get(fileId);
    if (inline && file !== undefined) return { ...base, data: clip(file).toString('base64') };
    return { ...base, uri: `${uriBase}/v1beta/files/${fileId}:download?alt=media` };
  }

  function steps(job: VideoJob, uriBase: string, asked: 'create' | 'poll'): object[] {
    const input = { type: 'user_input', content: job.order.content };
    if (job.outcome.is === 'refusal') {
      return [input, { type: 'model_output', content: [{ type: 'text', text: job.outcome.text }] }];
    }
    if (job.outcome.is === 'unparsed') {
      return [input, { type: 'model_output', content: [{ type: 'clip', location: 'elsewhere' }] }];
    }
    const inline = job.order.delivery === 'inline' || (asked === 'poll' && faults().video.getReturnsInline);
    const outputs = job.fileIds.map((id) => ({
      type: 'model_output',
      content: [videoPart(id, uriBase, inline)],
    }));
    const thought = { type: 'thought', signature: hashText(job.id).toString(16) };
    switch (faults().video.steps) {
      case 'plain':
        return [input, ...outputs];
      case 'outputNotLast':
        return [input, ...outputs, thought];
      case 'thoughtFirst':
        return [input, thought, ...outputs];
      case 'twoOutputs':
        return [input, { type: 'model_output', content: [{ type: 'text', text: 'Here it is.' }] }, ...outputs];
    }
  }

  function show(job: VideoJob, uriBase: string, asked: 'create' | 'poll'): object {
    const status = stateOf(job);
    const base = {
      id: job.id,
      object: 'interaction',
      model: job.order.model.id,
      status,
      created: new Date(job.createdAt).toISOString(),
      updated: new Date(Math.min(now(), job.doneAt)).toISOString(),
    };
    if (status === 'cancelled' || now() < job.doneAt) return base;
    if (job.outcome.is === 'status' && status !== 'completed') {
      const { code = 'internal', message = `The generation ended as ${status}.` } = job.outcome;
      return { ...base, errors: [{ code, message }] };
    }
    return { ...base, steps: steps(job, uriBase, asked), usage: usageOf(job.usage) };
  }

  return {
    create(order) {
      const createdAt = now();
      const { jobMs, video } = faults();
      const id = `v1_${letters(20)}`;
      const made = video.outcome.is === 'video' || video.outcome.is === 'unparsed';
      const media = made ? Math.round(videoTokensPerSecond[order.resolution] * order.seconds) : 0;
      const text = video.outcome.is === 'refusal' ? Math.ceil(video.outcome.text.length / 4) : 0;
      const usage = { input: Math.ceil(order.prompt.length / 4) + 560 * order.images, text, media };
      const doneAt = createdAt + jobMs;
      const fileIds = video.outcome.is === 'video' ? [`${letters(6)}-${letters(6)}`] : [];
      for (const fileId of fileIds) files.set(fileId, { id: fileId, order, createdAt: doneAt });
      const { outcome } = video;
      jobs.set(id, { id, order, createdAt, doneAt, usage, outcome, fileIds, cancelledAt: undefined, polls: 0 });
      return { id, usage };
    },
    view(id, uriBase, asked) {
      const job = find(id);
      if (asked === 'poll') job.polls++;
      const shown = show(job, uriBase, asked);
      if (!job.order.store) jobs.delete(id);
      return shown;
    },
    cancel(id, uriBase) {
      const job = find(id);
      if (!job.order.background) throw invalidRequest('Only background interactions can be cancelled.');
      if (job.cancelledAt !== undefined || now() >= job.doneAt) {
        throw invalidRequest('The interaction has ended and cannot be cancelled.');
      }
      job.cancelledAt = now();
      for (const fileId of job.fileIds) files.delete(fileId);
      return show(job, uriBase, 'poll');
    },
    remove(id) {
      find(id);
      jobs.delete(id);
    },
    file(id, uriBase) {
      const file = findFile(id);
      const state = fileState(file);
      return {
        name: `files/${id}`,
        mimeType: 'video/mp4',
        sizeBytes: String(clip(file).length),
        createTime: new Date(file.createdAt).toISOString(),
        expirationTime: new Date(file.createdAt + faults().fileLifeMs).toISOString(),
        uri: `${uriBase}/v1beta/files/${id}`,
        downloadUri: `${uriBase}/v1beta/files/${id}:download?alt=media`,
        state,
        source: 'GENERATED',
        ...(state === 'FAILED' ? { error: { code: 13, message: 'The file could not be processed.' } } : {}),
      };
    },
    download(id) {
      const file = findFile(id);
      if (fileState(file) !== 'ACTIVE') {
        const message = `The file ${id} is not in an ACTIVE state and usage is not allowed.`;
        throw new GeminiRefusal(400, classic(400, message, undefined, 'FAILED_PRECONDITION'));
      }
      return clip(file);
    },
  };

  function fileState(file: StoredFile): 'PROCESSING' | 'ACTIVE' | 'FAILED' {
    const { outcome } = faults().file;
    if (outcome === 'stuck' || now() - file.createdAt < faults().fileProcessingMs) return 'PROCESSING';
    return outcome;
  }
}

function usageOf(usage: VideoUsage): object {
  const { input, text, media } = usage;
  return {
    total_input_tokens: input,
    total_output_tokens: text + media,
    total_thought_tokens: 0,
    total_tokens: input + text + media,
    output_tokens_by_modality: [
      ...(media > 0 ? [{ modality: 'video', tokens: media }] : []),
      ...(text > 0 ? [{ modality: 'text', tokens: text }] : []),
    ],
  };
}

/** A file that never was answers 403, one that has expired 404 (both inferred). */
function fileGone(id: string, status: 403 | 404): GeminiRefusal {
  return refuse(status, `You do not have permission to access the File ${id} or it may not exist.`);
}
