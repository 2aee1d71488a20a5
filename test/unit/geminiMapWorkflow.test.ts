import assert from 'node:assert/strict';
import { geminiLimits, imageTier, mapWorkflow, nearestRatio } from '../../src/core/gemini/mapWorkflow.ts';
import type { MappedImage, MappedVideo } from '../../src/core/gemini/mapWorkflow.ts';
import { cleanPrompt } from '../../src/core/gemini/readPrompt.ts';
import type { WorkflowGraph } from '../../src/core/gemini/readGraph.ts';

const node = (class_type: string, inputs: Record<string, unknown> = {}) => ({ class_type, inputs });

/** Text to image as ComfyUI's own default graph has it. */
const basic: WorkflowGraph = {
  '3': node('KSampler', {
    seed: 156680208700286,
    steps: 20,
    cfg: 8,
    sampler_name: 'euler',
    scheduler: 'normal',
    denoise: 1,
    model: ['4', 0],
    positive: ['6', 0],
    negative: ['7', 0],
    latent_image: ['5', 0],
  }),
  '4': node('CheckpointLoaderSimple', { ckpt_name: 'sd15.safetensors' }),
  '5': node('EmptyLatentImage', { width: 1024, height: 1024, batch_size: 1 }),
  '6': node('CLIPTextEncode', { text: 'a red fox in snow', clip: ['4', 1] }),
  '7': node('CLIPTextEncode', { text: 'text, watermark', clip: ['4', 1] }),
  '8': node('VAEDecode', { samples: ['3', 0], vae: ['4', 2] }),
  '9': node('SaveImage', { filename_prefix: 'fox', images: ['8', 0] }),
};

/** Image to video as Wan's graph has it. */
const wan: WorkflowGraph = {
  '1': node('LoadImage', { image: 'start.png' }),
  '2': node('UNETLoader', { unet_name: 'wan.safetensors', weight_dtype: 'default' }),
  '3': node('CLIPTextEncode', { text: 'the fox runs', clip: ['10', 0] }),
  '4': node('CLIPTextEncode', { text: 'rain, blur', clip: ['10', 0] }),
  '5': node('WanImageToVideo', {
    width: 832,
    height: 480,
    length: 81,
    batch_size: 1,
    positive: ['3', 0],
    negative: ['4', 0],
    start_image: ['1', 0],
  }),
  '6': node('KSampler', {
    seed: 1,
    steps: 20,
    cfg: 6,
    sampler_name: 'uni_pc',
    scheduler: 'simple',
    denoise: 1,
    model: ['2', 0],
    positive: ['5', 0],
    negative: ['5', 1],
    latent_image: ['5', 2],
  }),
  '7': node('VAEDecode', { samples: ['6', 0], vae: ['11', 0] }),
  '8': node('CreateVideo', { fps: 16, images: ['7', 0] }),
  '9': node('SaveVideo', { filename_prefix: 'video', format: 'auto', codec: 'auto', video: ['8', 0] }),
  '10': node('CLIPLoader', { clip_name: 'umt5.safetensors', type: 'wan' }),
  '11': node('VAELoader', { vae_name: 'wan_vae.safetensors' }),
};

const map = (graph: WorkflowGraph) => mapWorkflow(graph, geminiLimits);
const image = (graph: WorkflowGraph): MappedImage => {
  const { request, report } = map(graph);
  assert.ok(request?.kind === 'image', report.refused.join('; '));
  return request;
};
const video = (graph: WorkflowGraph): MappedVideo => {
  const { request, report } = map(graph);
  assert.ok(request?.kind === 'video', report.refused.join('; '));
  return request;
};
const refusedBecause = (graph: WorkflowGraph, pattern: RegExp): void => {
  const { request, report } = map(graph);
  assert.equal(request, undefined);
  assert.match(report.refused.join('\n'), pattern);
};
const withInputs = (graph: WorkflowGraph, id: string, inputs: Record<string, unknown>): WorkflowGraph => ({
  ...graph,
  [id]: { ...graph[id]!, inputs: { ...graph[id]!.inputs, ...inputs } },
});

describe('mapping a workflow to Gemini: images', () => {
  it('reads prompt, negative, size and seed of the default graph, and reports each', () => {
    const { request, report } = map(basic);
    assert.deepEqual(request, {
      kind: 'image',
      prompt: 'a red fox in snow. Avoid: text, watermark.',
      aspectRatio: '1:1',
      imageSize: '1K',
      seed: Number(156680208700286n % 2n ** 31n),
      images: [],
      count: 1,
    });
    assert.deepEqual(report.kept, ['Prompt', 'Size 1024 × 1024']);
    assert.match(report.approximated.join('\n'), /Negative prompt.*\nSeed/s);
    assert.match(report.lost.join('\n'), /sd15\.safetensors/);
    assert.match(report.lost.join('\n'), /steps 20, CFG 8, sampler euler, scheduler normal, denoise 1/);
    assert.deepEqual(report.refused, []);
  });

  it('takes the nearest ratio and the smallest tier that covers the size', () => {
    const sized = (width: number, height: number) => {
      const { aspectRatio, imageSize } = image(withInputs(basic, '5', { width, height }));
      return `${aspectRatio} ${imageSize}`;
    };
    assert.equal(sized(832, 1216), '2:3 1K');
    assert.equal(sized(1920, 1080), '16:9 2K');
    assert.equal(sized(3840, 2160), '16:9 4K');
    assert.equal(nearestRatio(512, 4096, geminiLimits.imageRatios), '1:8');
    assert.equal(imageTier(1376, 768), '1K');
  });

  it('takes a size from what comes after the sampler, and from nodes that hold numbers', () => {
    const scaled = {
      ...withInputs(basic, '9', { images: ['12', 0] }),
      '12': node('ImageScale', { image: ['8', 0], width: 1920, height: 1080, upscale_method: 'area', crop: 'center' }),
    };
    assert.equal(image(scaled).aspectRatio, '16:9');
    const doubled = {
      ...withInputs(basic, '9', { images: ['12', 0] }),
      '12': node('ImageScaleBy', { image: ['8', 0], scale_by: 2, upscale_method: 'area' }),
    };
    assert.equal(image(doubled).imageSize, '2K');
    const held = {
      ...withInputs(basic, '5', { width: ['13', 0] }),
      '13': node('PrimitiveInt', { value: 2048 }),
    };
    assert.equal(image(held).aspectRatio, '16:9');
  });

  it('keeps the digits of a 64-bit seed', () => {
    const raw = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON('18446744073709551615');
    assert.equal(image(withInputs(basic, '3', { seed: raw })).seed, 2 ** 31 - 1);
  });

  it('makes a batch of so many requests', () => {
    assert.equal(image(withInputs(basic, '5', { batch_size: 4 })).count, 4);
  });

  it('takes the notation out of a prompt and names what it drops', () => {
    const text = '(masterpiece:1.2), ((fox)) BREAK <lora:fluffy:0.8> embedding:easyneg, a \\(red\\) coat';
    assert.deepEqual(cleanPrompt(text), {
      text: 'masterpiece, fox, a (red) coat',
      hadWeights: true,
      dropped: ['LoRA fluffy', 'embedding easyneg'],
    });
    assert.equal(cleanPrompt('a plain fox').hadWeights, false);
    const { report } = map(withInputs(basic, '6', { text }));
    assert.match(report.lost.join('\n'), /LoRA fluffy/);
  });

  it('reads SDXL prompts once, joined strings, and prompts behind guiders', () => {
    const sdxl = {
      ...basic,
      '6': node('CLIPTextEncodeSDXL', { text_g: 'a fox', text_l: 'a fox', width: 1024, height: 1024, clip: ['4', 1] }),
    };
    assert.match(image(sdxl).prompt, /^a fox\. Avoid/);
    const joined = {
      ...withInputs(basic, '6', { text: ['20', 0] }),
      '20': node('StringConcatenate', { string_a: 'a fox', string_b: ['21', 0], delimiter: ', ' }),
      '21': node('PrimitiveString', { value: 'in snow' }),
    };
    assert.match(image(joined).prompt, /^a fox, in snow\. /);
    const flux: WorkflowGraph = {
      '1': node('SamplerCustomAdvanced', {
        noise: ['2', 0],
        guider: ['3', 0],
        sampler: ['4', 0],
        sigmas: ['5', 0],
        latent_image: ['6', 0],
      }),
      '2': node('RandomNoise', { noise_seed: 77 }),
      '3': node('BasicGuider', { model: ['9', 0], conditioning: ['7', 0] }),
      '4': node('KSamplerSelect', { sampler_name: 'euler' }),
      '5': node('BasicScheduler', { model: ['9', 0], scheduler: 'simple', steps: 20, denoise: 1 }),
      '6': node('EmptySD3LatentImage', { width: 1024, height: 768, batch_size: 1 }),
      '7': node('FluxGuidance', { guidance: 3.5, conditioning: ['8', 0] }),
      '8': node('CLIPTextEncode', { text: 'a lighthouse', clip: ['9', 1] }),
      '9': node('UNETLoader', { unet_name: 'flux.safetensors' }),
      '10': node('VAEDecode', { samples: ['1', 0], vae: ['11', 0] }),
      '11': node('VAELoader', { vae_name: 'ae.safetensors' }),
      '12': node('SaveImage', { images: ['10', 0], filename_prefix: 'flux' }),
    };
    const request = image(flux);
    assert.deepEqual([request.prompt, request.aspectRatio, request.seed], ['a lighthouse', '4:3', 77]);
    assert.equal(map(flux).report.kept[0], 'Prompt');
    const cfg = {
      ...flux,
      '3': node('CFGGuider', { model: ['9', 0], positive: ['8', 0], negative: ['13', 0], cfg: 4 }),
      '13': node('CLIPTextEncode', { text: 'fog', clip: ['9', 1] }),
    };
    assert.equal(image(cfg).prompt, 'a lighthouse. Avoid: fog.');
  });

  it('asks for an edit of an input image, as large as that is', () => {
    const graph = {
      ...withInputs(basic, '3', { latent_image: ['10', 0], denoise: 0.6 }),
      '10': node('VAEEncode', { pixels: ['11', 0], vae: ['4', 2] }),
      '11': node('LoadImage', { image: 'photo.png' }),
    };
    const request = image(graph);
    assert.match(request.prompt, /^Edit this image: a red fox/);
    assert.deepEqual(request.images, ['photo.png']);
    assert.equal(request.aspectRatio, undefined);
    assert.match(map(graph).report.approximated.join('\n'), /photo\.png.*strength is lost/);
  });

  it('sends an IP-Adapter image along as a reference; a LoRA is lost', () => {
    const graph = {
      ...withInputs(basic, '3', { model: ['12', 0] }),
      '10': node('LoadImage', { image: 'style.png' }),
      '11': node('LoraLoader', { lora_name: 'ink.safetensors', strength_model: 1, model: ['4', 0], clip: ['4', 1] }),
      '12': node('IPAdapterAdvanced', { weight: 0.8, model: ['11', 0], image: ['10', 0] }),
    };
    assert.deepEqual(image(graph).images, ['style.png']);
    const { report } = map(graph);
    assert.match(report.approximated.join('\n'), /Reference image style\.png/);
    assert.match(report.lost.join('\n'), /LoRA ink\.safetensors/);
  });

  it('names nodes without a counterpart', () => {
    const graph = {
      ...withInputs(basic, '9', { images: ['12', 0] }),
      '12': node('FaceRestoreWonder', { image: ['8', 0] }),
    };
    assert.match(map(graph).report.lost.join('\n'), /without a counterpart: FaceRestoreWonder/);
  });

  it('ignores what no output needs', () => {
    const graph = {
      ...basic,
      '30': node('ControlNetApply', { strength: 1 }),
      '31': node('LoadImage', { image: 'x.png' }),
    };
    assert.deepEqual(image(graph).images, []);
  });
});

describe('mapping a workflow to Gemini: refusals', () => {
  const control = {
    ...withInputs(basic, '3', { positive: ['12', 0], negative: ['12', 1] }),
    '10': node('LoadImage', { image: 'pose.png' }),
    '11': node('ControlNetLoader', { control_net_name: 'openpose.safetensors' }),
    '12': node('ControlNetApplyAdvanced', {
      strength: 1,
      positive: ['6', 0],
      negative: ['7', 0],
      control_net: ['11', 0],
      image: ['10', 0],
    }),
  };

  it('refuses a ControlNet, unless its strength is zero', () => {
    refusedBecause(control, /ControlNet \(node 12\)/);
    assert.match(image(withInputs(control, '12', { strength: 0 })).prompt, /^a red fox in snow\. Avoid: text/);
  });

  it('refuses inpainting with a mask', () => {
    const masked = {
      ...withInputs(basic, '3', { latent_image: ['10', 0] }),
      '10': node('VAEEncodeForInpaint', { pixels: ['11', 0], mask: ['11', 1], vae: ['4', 2], grow_mask_by: 6 }),
      '11': node('LoadImage', { image: 'hole.png' }),
    };
    refusedBecause(masked, /Mask \(node 10\)/);
  });

  it('refuses upscaling of an existing image', () => {
    refusedBecause(
      {
        '1': node('LoadImage', { image: 'small.png' }),
        '2': node('UpscaleModelLoader', { model_name: '4x.pth' }),
        '3': node('ImageUpscaleWithModel', { upscale_model: ['2', 0], image: ['1', 0] }),
        '4': node('SaveImage', { images: ['3', 0] }),
      },
      /existing image without a prompt/,
    );
  });

  it('refuses a graph without sampler, prompt or output, and an empty one', () => {
    const model = { '1': node('EmptyImage', { width: 64, height: 64 }), '2': node('SaveImage', { images: ['1', 0] }) };
    refusedBecause(model, /no sampler/);
    refusedBecause(withInputs(basic, '6', { text: '' }), /No prompt/);
    refusedBecause({ '3': basic['3']! }, /Nothing in the graph saves/);
    refusedBecause({}, /Nothing in the graph saves/);
  });

  it('refuses two kinds of output', () => {
    const both = { ...basic, '20': node('SaveVideo', { video: ['8', 0] }) };
    refusedBecause(both, /more than one kind of output: image, video/);
  });

  it('refuses a clip of more than ten seconds and an input video', () => {
    refusedBecause(withInputs(wan, '5', { length: 241 }), /15\.1 s long; Gemini makes at most 10 s/);
    const restyle = {
      ...withInputs(wan, '5', { start_image: ['20', 0] }),
      '20': node('VHS_LoadVideo', { video: 'a.mp4' }),
    };
    refusedBecause(restyle, /Input video/);
  });

  it('ends on a graph that loops', () => {
    const looped = withInputs(basic, '6', { text: ['21', 0] });
    refusedBecause({ ...looped, '21': node('StringConcatenate', { string_a: ['21', 0] }) }, /No prompt/);
  });
});

describe('mapping a workflow to Gemini: video', () => {
  it('makes a clip from a first frame', () => {
    assert.deepEqual(video(wan), {
      kind: 'video',
      prompt: '<FIRST_FRAME> the fox runs. No rain, no blur. One continuous shot, no scene cuts.',
      aspectRatio: '16:9',
      resolution: '720p',
      seconds: 5.1,
      task: 'image_to_video',
      images: ['start.png'],
      count: 1,
    });
    const { report } = map(wan);
    assert.match(report.kept.join('\n'), /First frame start\.png/);
    assert.match(report.approximated.join('\n'), /81 frames at 16 fps become 5\.1 s at 24 fps/);
    assert.match(report.lost.join('\n'), /Seed/);
  });

  it('makes a clip between two frames, upright', () => {
    const graph: WorkflowGraph = {
      ...wan,
      '5': node('WanFirstLastFrameToVideo', {
        ...wan['5']!.inputs,
        width: 480,
        height: 832,
        end_image: ['20', 0],
      }),
      '20': node('LoadImage', { image: 'end.png' }),
    };
    const request = video(graph);
    assert.deepEqual([request.images, request.aspectRatio], [['start.png', 'end.png'], '9:16']);
    assert.match(request.prompt, /^<FIRST_FRAME> <LAST_FRAME> the fox/);
  });

  it('reads AnimateDiff: the batch is the frames; three seconds are the least', () => {
    const graph: WorkflowGraph = {
      ...withInputs(basic, '5', { width: 512, height: 512, batch_size: 16 }),
      '3': node('KSampler', { ...basic['3']!.inputs, model: ['14', 0] }),
      '14': node('ADE_AnimateDiffLoaderGen1', { model_name: 'mm_v3.ckpt', model: ['4', 0] }),
      '9': node('VHS_VideoCombine', { frame_rate: 8, format: 'video/h264-mp4', images: ['8', 0] }),
    };
    const request = video(graph);
    assert.deepEqual([request.seconds, request.task, request.count], [3, 'text_to_video', 1]);
    const { report } = map(graph);
    assert.match(report.approximated.join('\n'), /16:9 and 9:16 only/);
    assert.match(report.lost.join('\n'), /AnimateDiff/);
  });
});
