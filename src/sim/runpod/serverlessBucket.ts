import { createHmac } from 'node:crypto';
import path from 'node:path';
import type { ServerResponse } from 'node:http';
import type { Job } from './serverlessJob.ts';

/** The S3 bucket that a worker with `BUCKET_ENDPOINT_URL` uploads to: links that anyone may open until they expire. */
export interface Bucket {
  /** Keeps the file and gives its presigned address: `{jobId}/{8 characters}{ending}`, as worker-comfyui names them. */
  put(job: Job, name: string, bytes: Buffer): string;
  /** Answers a request for a file of the bucket; false = the path is no such thing. */
  serve(url: URL, res: ServerResponse): boolean;
}

/** Seconds that worker-comfyui's links hold: 7 days. */
const validSeconds = 604_800;

export function createBucket(now: () => number, seed: number): Bucket {
  const files = new Map<string, { readonly bytes: Buffer; readonly until: number }>();
  const sign = (key: string): string => createHmac('sha256', String(seed)).update(key).digest('hex').slice(0, 32);
  return {
    put: (job, name, bytes) => {
      const key = `${job.id}/${sign(`${job.id}/${name}/${files.size}`).slice(0, 8)}${path.extname(name)}`;
      files.set(key, { bytes, until: now() + validSeconds * 1000 });
      return `${job.origin}/bucket/${key}?X-Amz-Expires=${validSeconds}&X-Amz-Signature=${sign(key)}`;
    },
    serve: (url, res) => {
      if (!url.pathname.startsWith('/bucket/')) return false;
      const key = decodeURIComponent(url.pathname.slice('/bucket/'.length));
      const file = files.get(key);
      const refuse = (status: number, code: string): boolean => {
        res.writeHead(status, { 'content-type': 'application/xml' });
        res.end(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code></Error>`);
        return true;
      };
      if (!file) return refuse(404, 'NoSuchKey');
      if (url.searchParams.get('X-Amz-Signature') !== sign(key)) return refuse(403, 'SignatureDoesNotMatch');
      if (now() > file.until) return refuse(403, 'AccessDenied');
      res.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': file.bytes.length });
      res.end(file.bytes);
      return true;
    },
  };
}
