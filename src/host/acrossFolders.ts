export type ReadSetting = (key: string) => unknown;

/**
 * One reader for the folders of a window, which share one queue. The first one speaks for all: outputs go there. But what
 * any of them keeps on this machine is kept for all.
 */
export function acrossFolders(folders: readonly [ReadSetting, ...ReadSetting[]]): ReadSetting {
  const [first] = folders;
  return (key) => (key === 'privacy.localOnly' && folders.some((read) => read(key) === true) ? true : first(key));
}
