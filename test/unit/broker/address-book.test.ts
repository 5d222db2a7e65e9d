import { expect } from 'chai';

import { AddressBook } from '../../../src/broker/address-book.js';
import { MetadataState } from '../../../src/metadata/metadata-state.js';
import { brokerId } from '../../../src/model/ids.js';
import type { PeerAddress } from '../../../src/ports/transport.js';
import { registration } from '../metadata/support.js';

describe('the address book', () => {
  const at = (id: number, port: number): PeerAddress => ({ id: brokerId(id), host: 'h', port });
  let published: string[];
  let book: AddressBook;

  beforeEach(() => {
    published = [];
    book = new AddressBook(brokerId(1), {
      setPeers: (peers) =>
        published.push(peers.map((p) => `${p.id}@${p.host}:${p.port}`).join(' ')),
    });
  });

  it("takes a broker's own word first, then the configuration, then the metadata", () => {
    const image = new MetadataState();
    for (const id of [1, 2, 3]) image.putBroker({ ...registration(id), isFenced: false });
    book.follow(image);
    expect(published.at(-1)).to.equal('2@p2:7502 3@p3:7503');
    book.configure([at(1, 1), at(2, 22)]);
    expect(published.at(-1)).to.equal('2@h:22 3@p3:7503');
    book.heard(brokerId(2), { ...registration(2).address, peerPort: 222 });
    expect(published.at(-1)).to.equal('2@p2:222 3@p3:7503');
    book.follow(image);
    expect(published).to.have.length(3);
  });

  it('leaves out itself and seeds whose ids are not known', () => {
    book.configure([at(1, 1), at(0, 9), at(4, 44)]);
    book.heard(brokerId(1), registration(1).address);
    expect(published).to.eql(['4@h:44']);
  });
});
