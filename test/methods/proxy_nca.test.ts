import { proxyNca as method, proxyNcaLoss } from '../../src/methods/proxy_nca.ts';
import { type MethodStudy, within } from '../../src/studies/method_study.ts';
import * as reference from '../reference.ts';
import { testLargeProxyLoss, testProxyLoss, testProxyMethod } from './proxies.ts';

export const study = {
  method,
  order: 130,
  cases: [{ seeds: [0] }],
  digits: [{ seeds: [0], gates: [within('augKnn', 0.82)] }],
} satisfies MethodStudy<typeof method>;

testProxyLoss({
  name: 'Proxy-NCA',
  loss: (z, proxies, labels) => proxyNcaLoss(z, labels, proxies),
  expected: (z, proxies, labels) => reference.proxyNca(z, labels, proxies),
});

testProxyLoss({
  name: 'Proxy-NCA, scale 1',
  loss: (z, proxies, labels) => proxyNcaLoss(z, labels, proxies, { scale: 1 }),
  expected: (z, proxies, labels) => reference.proxyNca(z, labels, proxies, 1),
});

testLargeProxyLoss({
  name: 'a scale of 100',
  loss: (z, proxies, labels) => proxyNcaLoss(z, labels, proxies, { scale: 100 }),
  expected: (z, proxies, labels) => reference.proxyNca(z, labels, proxies, 100),
});

testProxyMethod('proxyNca', proxyNcaLoss);
