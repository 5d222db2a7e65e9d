import { expect } from 'chai';
import { protocolPage } from '../../../scripts/lib/protocol-page.js';

const TEXT = `syntax = "proto3";
package a.v1;
service Shop {
  // Sells one | two things.
  rpc Sell(SellRequest) returns (stream SellResponse);
  rpc Close(SellRequest) returns (SellResponse);
}
// What to sell.
message SellRequest {
  // How
  // many.
  optional uint32 count = 1;
  repeated Kind kinds = 2;
  oneof at {
    bool now = 3;
  }
  map<string, int64> prices = 4;
}
message SellResponse {}
enum Kind {
  KIND_UNSPECIFIED = 0;
  // A rope.
  KIND_ROPE = 1;
}
`;

describe('the page about the protocol', () => {
  const { markdown, undocumented } = protocolPage([{ file: 'a/v1/shop.proto', text: TEXT }]);

  it('has services, messages and enums with their comments', () => {
    expect(markdown).to.include('#### Shop/Sell\n\n[SellRequest](#sellrequest) → stream [SellResponse]');
    expect(markdown).to.include('Sells one | two things.');
    expect(markdown).to.include('### SellRequest\n\nWhat to sell.');
    for (const row of [
      '| 1 | `count` | optional uint32 | How many. |',
      '| 2 | `kinds` | repeated [Kind](#kind) |  |',
      '| 3 | `now` | bool, one of `at` |  |',
      '| 4 | `prices` | map of string to int64 |  |',
      '| 1 | `KIND_ROPE` | A rope. |',
    ]) {
      expect(markdown.split('\n')).to.include(row);
    }
    expect(markdown).to.include('### SellResponse\n\nNo fields.');
  });

  it('tells which methods have none', () => {
    expect(undocumented).to.deep.equal(['Shop.Close']);
  });
});
