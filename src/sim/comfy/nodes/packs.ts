/** Node packs that a server can have installed, by the name of their folder under `custom_nodes`. */
export type NodePack =
  'ComfyUI-AnimateDiff-Evolved' | 'ComfyUI-VideoHelperSuite' | 'ComfyUI_IPAdapter_plus' | 'simtest';
