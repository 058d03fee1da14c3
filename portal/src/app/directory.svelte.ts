import * as api from "../api/client";
import type { CompanyNumber, RecordRule, User } from "../api/model";
import { asProblem, type ApiProblem } from "../api/problem";

/** The users and numbers of the domain, shared by all pages. */
class Directory {
  users = $state.raw<User[] | null>(null);
  numbers = $state.raw<CompanyNumber[] | null>(null);
  problem = $state.raw<ApiProblem | null>(null);

  async load(): Promise<void> {
    try {
      [this.users, this.numbers] = await Promise.all([api.users(), api.numbers()]);
      this.problem = null;
    } catch (failure) {
      this.problem = asProblem(failure);
    }
  }

  /**
   * Change which calls of a user are recorded. The change is shown at once and undone if the API
   * refuses it. Throws ApiProblem.
   */
  async setRecord(login: string, record: RecordRule): Promise<void> {
    const before = this.users?.find((user) => user.login === login);
    if (before === undefined) return;
    this.#replace({ ...before, record });
    try {
      this.#replace(await api.setRecord(login, record));
    } catch (failure) {
      this.#replace(before);
      throw asProblem(failure);
    }
  }

  #replace(changed: User): void {
    this.users = this.users?.map((user) => (user.login === changed.login ? changed : user)) ?? null;
  }
}

export const directory = new Directory();

/** The label of a party of a call: name and extension of a user, otherwise the number. */
export function partyLabel(number: string): string {
  const user = directory.users?.find(({ extension }) => extension === number);
  return withName(number, user);
}

/** The label of the user with this login: name and extension. */
export function userLabel(login: string): string {
  const user = directory.users?.find((candidate) => candidate.login === login);
  return withName(user?.extension || login, user);
}

function withName(number: string, user: User | undefined): string {
  return user === undefined || user.name === "" || user.name === number
    ? number
    : `${user.name} (${number})`;
}
