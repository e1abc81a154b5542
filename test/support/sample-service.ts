import {
  LoginRequest,
  LoginResponse,
  PingRequest,
  PingResponse,
} from '../../proto/gen/warren/directory/v1/directory.ts';

/** A proto service of two methods: one that answers once, and one that streams. */
export const sampleService = {
  name: 'Sample',
  fullName: 'test.v1.Sample',
  methods: {
    ping: {
      name: 'Ping',
      requestType: PingRequest as typeof PingRequest,
      requestStream: false,
      responseType: PingResponse as typeof PingResponse,
      responseStream: false,
      options: {},
    },
    count: {
      name: 'Count',
      requestType: LoginRequest as typeof LoginRequest,
      requestStream: false,
      responseType: LoginResponse as typeof LoginResponse,
      responseStream: true,
      options: {},
    },
  },
} as const;
