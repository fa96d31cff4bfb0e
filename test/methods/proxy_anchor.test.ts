import { proxyAnchor as method, proxyAnchorLoss } from '../../src/methods/proxy_anchor.ts';
import { type MethodStudy, within } from '../../src/studies/method_study.ts';
import * as reference from '../reference.ts';
import { testLargeProxyLoss, testProxyLoss, testProxyMethod } from './proxies.ts';

export const study = {
  method,
  order: 140,
  cases: [{ seeds: [0] }],
  digits: [{ learningRate: 1e-2, epochs: 30, seeds: [0], gates: [within('augKnn', 0.82)] }],
} satisfies MethodStudy<typeof method>;

testProxyLoss({
  name: 'Proxy-Anchor',
  loss: (z, proxies, labels) => proxyAnchorLoss(z, labels, proxies),
  expected: (z, proxies, labels) => reference.proxyAnchor(z, labels, proxies),
  floor: 2e-5,
});

testProxyLoss({
  name: 'Proxy-Anchor, alpha 4, delta 0',
  loss: (z, proxies, labels) => proxyAnchorLoss(z, labels, proxies, { alpha: 4, delta: 0 }),
  expected: (z, proxies, labels) => reference.proxyAnchor(z, labels, proxies, { alpha: 4, delta: 0 }),
});

testLargeProxyLoss({
  name: 'an alpha of 200',
  loss: (z, proxies, labels) => proxyAnchorLoss(z, labels, proxies, { alpha: 200 }),
  expected: (z, proxies, labels) => reference.proxyAnchor(z, labels, proxies, { alpha: 200 }),
});

testProxyMethod('proxyAnchor', proxyAnchorLoss);
