import type { ProfileTraits } from '../profile.ts';
import { isObject, type Json, type JsonObject } from '../pyJson.ts';
import type { HistoryEntry, QueueItem } from './promptQueue.ts';

export type JobStatus = 'pending' | 'in_progress' | 'completed' | 'failed' | 'cancelled';

/** Keys of a node's UI data that hold files */
const PREVIEWABLE = /\.(png|jpe?g|webp|gif|mp4|webm|mov|mkv|mp3|wav|flac|ogg|glb|txt)$/i;

/** A job that has not ended. Null fields are left out. */
export function pendingJob(item: QueueItem, status: 'pending' | 'in_progress', traits: ProfileTraits): JsonObject {
  return {
    id: item.promptId,
    status,
    priority: item.number,
    ...createTime(item),
    outputs_count: 0,
    ...(traits.jobs === 'cancel' && { previewable_outputs_count: 0 }),
    ...workflowId(item),
  };
}

/** A job that has ended; `detailed` adds outputs, status and graph. */
export function historyJob(entry: HistoryEntry, traits: ProfileTraits, detailed: boolean): JsonObject {
  const { item, status } = entry;
  const messages = status.messages.flatMap((message) => (isMessage(message) ? [message] : []));
  const start = messages.find(([type]) => type === 'execution_start')?.[1];
  const end = messages.findLast(([type]) => /^execution_(success|error|interrupted)$/.test(type));
  const files = filesOf(entry.outputs);
  const previewable = files.filter((file) => PREVIEWABLE.test(file.name));
  const preview = previewable.find((file) => file.json['type'] === 'output') ?? previewable[0];
  return {
    id: item.promptId,
    status: statusOf(entry, end?.[0], traits),
    priority: item.number,
    ...createTime(item),
    ...(start && { execution_start_time: start['timestamp'] }),
    ...(end && { execution_end_time: end[1]['timestamp'] }),
    ...(end?.[0] === 'execution_error' && { execution_error: end[1] }),
    outputs_count: files.length,
    ...(traits.jobs === 'cancel' && { previewable_outputs_count: previewable.length }),
    ...(preview && { preview_output: preview.json }),
    ...workflowId(item),
    ...(detailed && {
      outputs: entry.outputs,
      execution_status: status,
      workflow: { prompt: item.graph as JsonObject, extra_data: item.extraData },
    }),
  };
}

function statusOf(entry: HistoryEntry, end: string | undefined, traits: ProfileTraits): JobStatus {
  if (entry.status.completed) return 'completed';
  return end === 'execution_interrupted' && traits.jobs === 'cancel' ? 'cancelled' : 'failed';
}

function filesOf(outputs: JsonObject): { name: string; json: JsonObject }[] {
  const files: { name: string; json: JsonObject }[] = [];
  for (const [nodeId, ui] of Object.entries(outputs)) {
    for (const [mediaType, entries] of Object.entries(isObject(ui) ? ui : {})) {
      for (const entry of Array.isArray(entries) ? entries : []) {
        if (!isObject(entry) || typeof entry['filename'] !== 'string') continue;
        files.push({ name: entry['filename'], json: { ...entry, nodeId, mediaType } });
      }
    }
  }
  return files;
}

function isMessage(message: Json): message is [string, JsonObject] {
  return Array.isArray(message) && typeof message[0] === 'string' && isObject(message[1]);
}

function createTime(item: QueueItem): JsonObject {
  const time = item.extraData['create_time'];
  return time === undefined ? {} : { create_time: time };
}

/** The id of the editor's graph, when the client sent that along */
function workflowId(item: QueueItem): JsonObject {
  const info = item.extraData['extra_pnginfo'];
  const workflow = isObject(info) ? info['workflow'] : undefined;
  const id = isObject(workflow) ? workflow['id'] : undefined;
  return typeof id === 'string' ? { workflow_id: id } : {};
}
