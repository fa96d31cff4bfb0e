import * as assert from 'uvu/assert';
import { drawTextPanels, textPanelSection, textParts } from '../../src/cli/text_panels.ts';
import { textSet } from '../../src/data/texts.ts';
import { constant, reshape, type Tensor } from '../../src/graph/tensor.ts';
import { concatenate, gather } from '../../src/ops/shape.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { trainCharacters, trainWords } from '../../src/text/index.ts';
import { device, test } from '../harness.ts';

test('parts of texts: runs of marked tokens, spaces between words alone, no padding', () => {
  const words = trainWords(['the cat sat on the mat']);
  const ids = [...words.encode('the cat sat'), words.special.pad, words.special.pad];
  assert.equal(textParts(words, ids, [0, 1, 1, 0, 0]), [
    { text: 'the', marked: false },
    { text: ' cat sat', marked: true },
  ]);
  const characters = trainCharacters(['a cat']);
  assert.equal(textParts(characters, characters.encode('a cat'), [0, 0, 1, 0, 0]), [
    { text: 'a ', marked: false },
    { text: 'c', marked: true },
    { text: 'at', marked: false },
  ]);
  assert.equal(textParts(words, [words.special.mask], [1]), [{ text: '<mask>', marked: true }]);
  assert.equal(textParts(words, [words.special.pad], [0]), []);
});

test('a panel of texts is computed, escaped and marked; one that fails is named', async () => {
  const gpu = await device();
  const texts = ['a <b> c', 'c a'];
  const data = textSet({ texts }, { tokenizer: trainWords(texts), length: 6 });
  const V = data.tokenizer.size;
  const numbers = (ids: Tensor) =>
    reshape(
      gather(
        constant(
          Float32Array.from({ length: V }, (_, i) => i),
          [V, 1],
        ),
        ids,
      ),
      ids.shape,
    );
  const panel = (rows: string[]) => ({
    ...{ title: 'Guesses', caption: 'Texts.', rows },
    tokens: (ids: Tensor) => ({
      ids: reshape(concatenate([numbers(ids), numbers(ids)]), [2, ...ids.shape]),
      marked: constant(Float32Array.of(1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0), [2, 6]),
    }),
  });
  const { textPanels, failures } = await drawTextPanels(
    gpu,
    [panel(['text', 'guess']), panel(['one'])],
    data,
  );
  assert.equal(failures, ['Guesses: tokens: expected [1, 2, 6] and [2, 6], got [2, 2, 6] and [2, 6]']);
  const page = textPanelSection(textPanels)!.body.text;
  assert.match(page, /<dt>text<\/dt><dd><mark>a<\/mark> &lt; b &gt; c<\/dd>/);
  assert.match(page, /<dt>guess<\/dt><dd>c<mark> a<\/mark><\/dd>/);
  assert.is(textPanelSection([]), undefined);
  freeVariables(gpu, [data.ids]);
});
