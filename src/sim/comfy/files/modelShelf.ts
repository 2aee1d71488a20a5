import { newFrame } from '../media/frame.ts';
import { encodePng } from '../media/png.ts';
import type { Lists } from '../nodes/nodeType.ts';
import type { NodePack } from '../nodes/packs.ts';
import type { ProfileTraits } from '../profile.ts';
import { splitPath, type FileStore } from './fileStore.ts';

const FOLDERS_OF_ALL = [
  'checkpoints',
  'configs',
  'loras',
  'vae',
  'text_encoders',
  'diffusion_models',
  'clip_vision',
  'style_models',
  'embeddings',
  'diffusers',
  'vae_approx',
  'controlnet',
  'gligen',
  'upscale_models',
];
const FOLDERS_OF_MIDDLE = [
  'custom_nodes',
  'hypernetworks',
  'photomaker',
  'classifiers',
  'model_patches',
  'audio_encoders',
];
const FOLDERS_OF_NEW = [
  'background_removal',
  'frame_interpolation',
  'geometry_estimation',
  'optical_flow',
  'detection',
];

const FOLDERS_OF_PACKS: Record<NodePack, readonly string[]> = {
  'ComfyUI-AnimateDiff-Evolved': ['animatediff_models', 'animatediff_motion_lora', 'animatediff_video_formats'],
  ComfyUI_IPAdapter_plus: ['ipadapter'],
  'ComfyUI-VideoHelperSuite': ['VHS_video_formats'],
  simtest: [],
};

/** What a server has when nobody says: enough for a first picture. */
const DEFAULT_MODELS: Record<string, string[]> = { checkpoints: ['v1-5-pruned-emaonly-fp16.safetensors'] };

/** The model folders, and what of the output folder counts as models too. */
export class ModelShelf {
  readonly folders: readonly string[];
  readonly #models: Record<string, string[]>;
  readonly #files: FileStore;
  readonly #traits: ProfileTraits;

  constructor(
    traits: ProfileTraits,
    packs: readonly NodePack[],
    models: Record<string, string[]> | undefined,
    files: FileStore,
  ) {
    this.#traits = traits;
    this.#files = files;
    this.#models = models ?? DEFAULT_MODELS;
    this.folders = [
      ...FOLDERS_OF_ALL,
      ...(traits.profile === '0.3.64' ? [] : ['latent_upscale_models']),
      ...FOLDERS_OF_MIDDLE.flatMap((folder) =>
        folder === 'custom_nodes' && traits.profile === '0.33.0' ? [folder, 'datasets'] : [folder],
      ),
      ...(traits.profile === '0.33.0' ? FOLDERS_OF_NEW : []),
      ...packs.flatMap((pack) => FOLDERS_OF_PACKS[pack]),
    ];
  }

  /** Sorted names; undefined for an unknown folder. Files saved under `output/loras` are LoRA at once. */
  models(folder: string): string[] | undefined {
    if (!this.folders.includes(folder)) return undefined;
    const saved = this.#files
      .paths('output')
      .filter((path) => path.startsWith(`${folder}/`) && /\.(safetensors|ckpt|pt)$/.test(path))
      .map((path) => path.slice(folder.length + 1));
    return [...new Set([...(this.#models[folder] ?? []), ...saved])].sort();
  }

  /** The directories behind a folder key, as a server installed at `/ComfyUI` has them. */
  paths(folder: string): string[] {
    if (folder === 'custom_nodes' || folder === 'datasets') return [`/ComfyUI/${folder}`];
    if (folder === 'VHS_video_formats') return [];
    const alsoSaved = ['checkpoints', 'loras', 'vae', 'text_encoders', 'diffusion_models'];
    return [`/ComfyUI/models/${folder}`, ...(alsoSaved.includes(folder) ? [`/ComfyUI/output/${folder}`] : [])];
  }

  lists(): Lists {
    return {
      traits: this.#traits,
      models: (folder) => this.models(folder) ?? [],
      inputFiles: () =>
        this.#files
          .paths('input')
          .filter((path) => !path.includes('/') && /\.(png|jpe?g|webp|gif)$/i.test(path))
          .sort(),
      inputFolders: () =>
        [...new Set(this.#files.paths('input').flatMap((path) => splitPath(path).subfolder || []))].sort(),
    };
  }

  /** Puts the files of the input folder in place. */
  stockInputs(inputs: Record<string, Uint8Array>): void {
    const all = { 'example.png': encodePng(newFrame(64, 64, 0x7aa2f7)), ...inputs };
    for (const [path, bytes] of Object.entries(all)) {
      const { subfolder, name } = splitPath(path);
      this.#files.write('input', subfolder, name, Buffer.from(bytes));
    }
  }
}
