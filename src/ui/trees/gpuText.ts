import type { Pod } from '../../core/runpod/pod.ts';

/** 'NVIDIA GeForce RTX 4090' × 2 → '2 × RTX 4090' */
export function shortGpuName(gpu: Pod['gpu']): string {
  if (gpu === undefined) return 'CPU';
  const name = gpu.id.replace(/^NVIDIA\s+(GeForce\s+)?/, '');
  return gpu.count > 1 ? `${gpu.count} × ${name}` : name;
}
