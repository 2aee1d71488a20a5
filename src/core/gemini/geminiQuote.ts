import type { Quote } from '../backends/backend.ts';
import type { MappedImage, MappedVideo } from './mapWorkflow.ts';
import { actualCost, estimateImage, estimateVideo, geminiPrices } from './price.ts';
import type { GeminiUsage, Priced } from './price.ts';

export interface GeminiModels {
  readonly image: string;
  readonly video: string;
}

export type GeminiRequest = MappedImage | MappedVideo;

/** Before anything is known of the graph: one picture at 1K, or five seconds at 720p. */
export function roughQuote(media: 'image' | 'video', models: GeminiModels): Quote {
  const prompt = 'x'.repeat(200);
  return media === 'image'
    ? quoteRequest({ kind: 'image', prompt, imageSize: '1K', images: [], count: 1 }, models)
    : quoteRequest({ kind: 'video', prompt, resolution: '720p', seconds: 5, images: [], count: 1 }, models);
}

type Priceable =
  | Pick<MappedImage, 'kind' | 'prompt' | 'imageSize' | 'images' | 'count'>
  | Pick<MappedVideo, 'kind' | 'prompt' | 'resolution' | 'seconds' | 'images' | 'count'>;

/** What all of a request will cost by the price list. A model that is not on the list is priced as the dearest one. */
export function quoteRequest(request: Priceable, models: GeminiModels): Quote {
  const { kind, count, images } = request;
  const model = pricedAs(kind, models[kind]);
  const one = request.kind === 'image' ? oneImage(request, model.id) : oneVideo(request, model.id);
  const what = request.kind === 'image' ? `picture at ${request.imageSize}` : `clip of ${request.seconds} s`;
  const sent = images.length === 0 ? '' : `, ${images.length} input image${images.length === 1 ? '' : 's'}`;
  const [micros, mostMicros] = [one.micros * count, one.mostMicros * count];
  return { micros, mostMicros, basis: `${count} × ${what}${sent}, ${listed(model, one)}` };
}

function oneImage({ prompt, imageSize, images }: Omit<Priceable & { kind: 'image' }, 'kind'>, model: string): Priced {
  const order = {
    model,
    imageSize,
    inputImages: images.length,
    promptLength: prompt.length,
    promptBytes: bytesOf(prompt),
  };
  return estimateImage(order, geminiPrices) ?? missing(model);
}

function oneVideo(
  { prompt, resolution, seconds, images }: Omit<Priceable & { kind: 'video' }, 'kind'>,
  model: string,
): Priced {
  const order = { model, resolution, seconds, inputImages: images.length, promptBytes: bytesOf(prompt) };
  return estimateVideo(order, geminiPrices) ?? missing(model);
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** What one answer was metered at. */
export function meteredCost(kind: GeminiRequest['kind'], model: string, usage: GeminiUsage): Quote {
  const as = pricedAs(kind, model);
  const cost = actualCost(as.id, usage, geminiPrices) ?? missing(as.id);
  return { micros: cost.micros, basis: `metered by Google, ${listed(as, cost)}` };
}

interface PricedModel {
  readonly id: string;
  /** The model that has no price of its own. */
  readonly standsFor: string | undefined;
}

function pricedAs(kind: GeminiRequest['kind'], model: string): PricedModel {
  const prices: Readonly<Record<string, { readonly media: number }>> =
    kind === 'image' ? geminiPrices.images : geminiPrices.videos;
  if (prices[model] !== undefined) return { id: model, standsFor: undefined };
  const dearest = Object.entries(prices).reduce((best, next) => (next[1].media > best[1].media ? next : best));
  return { id: dearest[0], standsFor: model };
}

function listed({ id, standsFor }: PricedModel, { basis }: Pick<Priced, 'basis'>): string {
  if (standsFor !== undefined) return `no price is known for ${standsFor}: assumed as dear as ${id}`;
  const how = {
    documented: "by Google's price list",
    recorded: 'by prices that others recorded',
    inferred: 'by guessed prices',
  };
  return `${how[basis]}, as of ${geminiPrices.asOf}, for ${id}`;
}

function missing(model: string): never {
  throw new Error(`${model} has no price`);
}
