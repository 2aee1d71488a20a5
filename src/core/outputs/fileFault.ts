import { Fault } from '../kernel/fault.ts';

/** What a failed file operation in the output folder means to a person, as an 'io' fault with a next step. */
export function fileFault(error: unknown, folder: string): Fault {
  if (error instanceof Fault) return error;
  const { message, nextStep } = explain(errorCode(error), folder);
  const detail = error instanceof Error ? error.message : String(error);
  return new Fault('io', message, { nextStep, raw: detail }, { cause: error });
}

/** Node's error code ('ENOSPC'), or '' when there is none. */
export function errorCode(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}

function explain(code: string, folder: string): { readonly message: string; readonly nextStep: string } {
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return {
        message: `There is no room left for the output in ${folder} (${code})`,
        nextStep: 'Free some space, or choose a folder on another disk in the setting podrelay.outputFolder.',
      };
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return {
        message: `The output folder ${folder} cannot be written to (${code})`,
        nextStep: 'Allow writing there, or choose another folder in the setting podrelay.outputFolder.',
      };
    case 'ENOTDIR':
    case 'EEXIST':
    case 'ENOENT':
    case 'ELOOP':
      return {
        message: `${folder} is not a folder that can be used for outputs (${code})`,
        nextStep: 'Choose another folder in the setting podrelay.outputFolder.',
      };
    default:
      return {
        message: `The output could not be written to ${folder}${code === '' ? '' : ` (${code})`}`,
        nextStep: 'Check the disk, or choose another folder in the setting podrelay.outputFolder.',
      };
  }
}
