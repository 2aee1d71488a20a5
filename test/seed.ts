import fc from 'fast-check';

// The same cases in every run, so that a run means something; PODRELAY_SEED=random looks for new ones, and a number
// repeats a run that found one.
const wanted = process.env.PODRELAY_SEED;
if (wanted !== 'random') fc.configureGlobal({ seed: Number(wanted ?? 20_261) });
